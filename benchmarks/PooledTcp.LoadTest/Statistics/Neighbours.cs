using System.Globalization;

namespace PooledTcp.LoadTest.Statistics;

/// <summary>
/// What others did on this machine while we measured, as the kernel accounts for it: all CPU time but that of our processes, and
/// what a hypervisor took away. Loopback's soft interrupts are in the time of the process they interrupt, and so in ours, unless
/// the kernel was built with IRQ_TIME_ACCOUNTING: there they look like somebody else's, and more rounds are repeated than need be.
/// </summary>
internal sealed class Neighbours
{
    /// <summary>Of all processors. What this program's own idle threads and the kernel's do stays far below.</summary>
    private const double Limit = 0.08;

    // Fields of /proc/stat's first line, and of /proc/PID/stat behind the name: see proc_stat(5) and proc_pid_stat(5).
    private const int Idle = 3, IoWait = 4, Steal = 7;
    private const int UserOfProcess = 11, SystemOfProcess = 12;

    private readonly int[] _ours;
    private Reading _begin;

    /// <param name="ours">The servers of this measurement; this process is one of ours anyway.</param>
    public Neighbours(params IEnumerable<int> ours)
    {
        _ours = [Environment.ProcessId, .. ours];
        Begin();
    }

    public void Begin() => _begin = Read();

    /// <summary>Since <see cref="Begin"/>. Never where there is no /proc.</summary>
    public bool Disturbed
    {
        get
        {
            Reading now = Read();
            long all = now.All - _begin.All;
            return all > 0 && now.Busy - _begin.Busy - (now.Ours - _begin.Ours) > Limit * all;
        }
    }

    private Reading Read()
    {
        try
        {
            long[] cpu = Numbers(File.ReadLines("/proc/stat").First()["cpu".Length..]);
            long all = cpu.Take(Steal + 1).Sum();
            return new Reading(all, all - cpu[Idle] - cpu[IoWait], _ours.Sum(OfProcess));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }

    private static long OfProcess(int id)
    {
        string stat = File.ReadAllText($"/proc/{id}/stat");
        long[] numbers = Numbers(stat[(stat.LastIndexOf(')') + 3)..]);
        return numbers[UserOfProcess] + numbers[SystemOfProcess];
    }

    private static long[] Numbers(string text) =>
        [.. text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(static s => long.TryParse(s, CultureInfo.InvariantCulture, out long n) ? n : 0)];

    private readonly record struct Reading(long All, long Busy, long Ours);
}
