using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.IntegrationTests.Support;

/// <summary>This process's sockets as the kernel lists them: the witness for the pool's own counts.</summary>
internal static class KernelSockets
{
    public static bool CanCount => ProcessSockets.CanCount;

    /// <summary>Sockets of this process whose peer is that port, in whatever state.</summary>
    public static int CountTo(int port) => ProcessSockets.CountTo(port);

    /// <summary>Waits until nothing is in motion, then demands that pool and kernel count the same.</summary>
    /// <param name="pool">What says how many.</param>
    /// <param name="port">The peer's.</param>
    /// <param name="others">Sockets to that port which the test itself has.</param>
    public static async Task MatchAsync(TcpPool pool, int port, int others = 0)
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
                () => (kernel = CountTo(port) - others) == pool.GetSnapshot().Idle,
                () => $"The kernel lists {kernel} sockets, the pool says {pool.GetSnapshot()}");
        }
    }
}
