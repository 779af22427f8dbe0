using System.Globalization;
using System.Net.Sockets;

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

    /// <summary>What the kernel calls that open socket, as long as it has it.</summary>
    public static string? InodeOf(Socket socket) => InodeOf($"/proc/self/fd/{socket.SafeHandle.DangerousGetHandle()}");

    /// <summary>
    /// The lines of those sockets that the kernel has. All of them were made before the call and were there after it began,
    /// so it had them all at one moment, however long its table takes to read: sockets that come and go meanwhile cannot
    /// make the number too great.
    /// </summary>
    public static string[] LinesOf(HashSet<string> inodes) => [.. Rows(inodes).Select(static row => string.Join(' ', row))];

    private static int Count(int port, Func<string[], bool> counts)
    {
        string remotePort = ":" + port.ToString("X4", CultureInfo.InvariantCulture);
        return Rows([.. Inodes()]).Count(row => row[RemoteColumn].EndsWith(remotePort, StringComparison.Ordinal) && counts(row));
    }

    // The kernel looks for its place in the table anew with each read, and sockets that came before it meanwhile have moved
    // what follows: at 800 dials a second beside 24,000 TIME-WAITs, 25 of 233 walks listed a socket twice.
    private static IEnumerable<string[]> Rows(HashSet<string> inodes) =>
        new[] { "/proc/net/tcp", "/proc/net/tcp6" }
            .Where(File.Exists)
            .SelectMany(File.ReadAllLines)
            .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(row => row.Length > InodeColumn && inodes.Contains(row[InodeColumn]))
            .DistinctBy(static row => row[InodeColumn]);

    private static IEnumerable<string> Inodes() => Directory.EnumerateFiles("/proc/self/fd").Select(InodeOf).OfType<string>();

    private static string? InodeOf(string descriptor)
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

        return target?.StartsWith("socket:[", StringComparison.Ordinal) == true ? target["socket:[".Length..^1] : null;
    }
}
