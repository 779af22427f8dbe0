using System.Globalization;
using Xunit;

namespace PooledTcp.IntegrationTests.Support;

/// <summary>This process's sockets as the kernel lists them: the witness for the pool's own counts.</summary>
internal static class KernelSockets
{
    private const int RemoteColumn = 2;
    private const int InodeColumn = 9;

    public static bool CanCount => OperatingSystem.IsLinux();

    /// <summary>Sockets of this process whose peer is that port, in whatever state.</summary>
    public static int CountTo(int port)
    {
        HashSet<string> inodes = [.. Inodes()];
        string remotePort = ":" + port.ToString("X4", CultureInfo.InvariantCulture);
        return new[] { "/proc/net/tcp", "/proc/net/tcp6" }
            .Where(File.Exists)
            .SelectMany(File.ReadAllLines)
            .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Count(row => row.Length > InodeColumn
                && row[RemoteColumn].EndsWith(remotePort, StringComparison.Ordinal)
                && inodes.Contains(row[InodeColumn]));
    }

    /// <summary>Waits until nothing is in motion, then demands that pool and kernel count the same.</summary>
    public static async Task MatchAsync(TcpPool pool, int port)
    {
        TcpPoolSnapshot now = pool.GetSnapshot();
        await Eventually.TrueAsync(
            () => (now = pool.GetSnapshot()) is { Used: 0, Connecting: 0, Closing: 0, Waiting: 0 },
            () => $"Something never came back: {now}");
        Assert.Equal(now.Created, now.Closed + now.Idle);
        if (CanCount)
        {
            int kernel = 0;
            await Eventually.TrueAsync(
                () => (kernel = CountTo(port)) == pool.GetSnapshot().Idle,
                () => $"The kernel lists {kernel} sockets, the pool says {pool.GetSnapshot()}");
        }
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
