using System.Globalization;

namespace PooledTcp.LoadTest.Statistics;

/// <summary>CPU time of another process, by proc_pid_stat(5).</summary>
internal static class ProcessTime
{
    /// <summary>USER_HZ, the same on every Linux that .NET runs on.</summary>
    public const double TicksPerSecond = 100;

    // Counted from the state, which follows the name; that is in brackets and may hold anything.
    private const int User = 11;
    private const int System = 12;

    /// <summary>User and system time so far, in ticks.</summary>
    public static long ReadTicks(int process)
    {
        string stat = File.ReadAllText($"/proc/{process}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(fields[User], CultureInfo.InvariantCulture) + long.Parse(fields[System], CultureInfo.InvariantCulture);
    }
}
