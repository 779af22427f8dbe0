namespace PooledTcp.KernelTests.Outage;

/// <summary>All of /proc/sys/net/ipv4 at one moment.</summary>
internal static class Sysctls
{
    public static Dictionary<string, string> Read() =>
        Directory.EnumerateFiles("/proc/sys/net/ipv4", "*", SearchOption.AllDirectories).ToDictionary(file => file, ReadOne, StringComparer.Ordinal);

    /// <summary>What is not as it was.</summary>
    public static List<string> ChangesSince(Dictionary<string, string> before) =>
        [.. Read().Where(now => before.GetValueOrDefault(now.Key) != now.Value).Select(now => $"{now.Key}: {now.Value}")];

    private static string ReadOne(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Some can only be written to.
            return e.GetType().Name;
        }
    }
}
