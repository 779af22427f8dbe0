using System.Diagnostics;
using System.Net.Sockets;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>Peers that close idle connections, seen through the front door on real sockets.</summary>
public sealed class PeerCloseTests(ITestOutputHelper output)
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static bool IsLinux => OperatingSystem.IsLinux();

    [Fact(Timeout = Limit, Skip = "epoll is Linux'", SkipUnless = nameof(IsLinux))]
    public async Task A_thousand_connections_closed_by_their_peer_at_once_are_closed_before_anybody_asks()
    {
        await using SilentServer server = new();
        await using PooledTcpClient client = server.NewClient(connections: 1000);
        TcpPool pool = client.GetPool(server.EndPoint);
        await pool.WarmUpAsync(1000, Token);
        Socket[] accepted = await server.TakeAsync(1000);

        long start = Stopwatch.GetTimestamp();
        Array.ForEach(accepted, static s => s.Dispose());
        TimeSpan closing = Stopwatch.GetElapsedTime(start);
        await Eventually.TrueAsync(() => pool.GetSnapshot().Closed == 1000, () => pool.GetSnapshot().ToString());
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        output.WriteLine($"The peer took {closing.TotalMilliseconds:0} ms to close 1,000, the pool was done after {took.TotalMilliseconds:0} ms.");

        TcpPoolSnapshot now = pool.GetSnapshot();
        Assert.Equal((0, 0, 1000), (now.Idle, now.Used, now.ClosedByPeer));
        Assert.Equal(1000, now.ClosedByReason["peer_closed"]);
        Assert.Equal(0, KernelSockets.CountTo(server.EndPoint.Port));

        // 0.5 s is the promise; the rest is for a machine that builds something else meanwhile.
        Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(3));
    }

    [Fact(Timeout = Limit)]
    public async Task A_rent_right_after_the_peers_close_gets_a_live_connection_every_time()
    {
        await using SilentServer server = new();
        await using PooledTcpClient client = server.NewClient(connections: 4);
        TcpPool pool = client.GetPool(server.EndPoint);
        await pool.WarmUpAsync(1, Token);
        for (int round = 0; round < 300; round++)
        {
            Socket peer = (await server.TakeAsync(1))[0];
            peer.Dispose();
            if (round % 3 == 1)
            {
                await Task.Yield();
            }
            else if (round % 3 == 2)
            {
                await Task.Delay(1, Token);
            }

            await using TcpLease lease = await pool.RentAsync(Token);
            Assert.False(lease.PeerClosed);
            Assert.False(lease.IsReused);
            lease.Complete();
        }

        await Eventually.TrueAsync(() => pool.GetSnapshot().Closed == 300, () => pool.GetSnapshot().ToString());
        Assert.Equal(300, pool.GetSnapshot().ClosedByReason["peer_closed"]);
    }
}
