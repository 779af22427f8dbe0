using System.Globalization;

namespace PooledTcp.TestSupport;

/// <summary>This process's TCP sockets as the kernel lists them.</summary>
internal static class ProcessSockets
{
    private const int RemoteColumn = 2;
    private const int StateColumn = 3;
    private const int QueuesColumn = 4;
    private const int InodeColumn = 9;
    private const string Established = "01";

    public static bool CanCount => OperatingSystem.IsLinux();

    /// <summary>Sockets of this process, of whatever kind and state; those that the kernel lists nowhere as well.</summary>
    public static int CountAll() => Inodes().Count();

    /// <summary>Sockets of this process whose peer is that port, in whatever state.</summary>
    public static int CountTo(int port) => Count(port, static _ => true);

    /// <summary>Those of them that have neither an end nor a byte to read: nothing has reached them.</summary>
    public static int CountUntouchedTo(int port) => Count(port, static row =>
        row[StateColumn] == Established && row[QueuesColumn].EndsWith(":00000000", StringComparison.Ordinal));

    private static int Count(int port, Func<string[], bool> counts)
    {
        HashSet<string> inodes = [.. Inodes()];
        string remotePort = ":" + port.ToString("X4", CultureInfo.InvariantCulture);
        return new[] { "/proc/net/tcp", "/proc/net/tcp6" }
            .Where(File.Exists)
            .SelectMany(File.ReadAllLines)
            .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Count(row => row.Length > InodeColumn
                && row[RemoteColumn].EndsWith(remotePort, StringComparison.Ordinal)
                && inodes.Contains(row[InodeColumn])
                && counts(row));
    }

    private static IEnumerable<string> Inodes()
    {
        foreach (string descriptor in Directory.EnumerateFiles("/proc/self/fd"))
        {
            string? target = null;
            try
            {
                target = new FileInfo(descriptor).LinkTarget;
            }
            catch (IOException)
            {
                // Closed since it was listed.
            }

            if (target?.StartsWith("socket:[", StringComparison.Ordinal) == true)
            {
                yield return target["socket:[".Length..^1];
            }
        }
    }
}
