using System.Diagnostics;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using Xunit;

namespace PooledTcp.KernelTests.Health;

/// <summary>Peers that close idle connections, seen through the front door. In a namespace: the ports are many.</summary>
public sealed class PeerCloseTests(ITestOutputHelper output)
{
    private const int Thousand = 1000;
    private const int Rounds = 300;

    /// <param name="PeerMilliseconds">What the peer's program took to close them all.</param>
    /// <param name="Milliseconds">From its first close until the pool had closed the last.</param>
    /// <param name="PeerClosed">Closed for that reason.</param>
    /// <param name="ByPeer">Where the peer's FIN came first.</param>
    /// <param name="Descriptors">That the client still had, in any state but TIME_WAIT.</param>
    public sealed record Wave(double PeerMilliseconds, double Milliseconds, long PeerClosed, long ByPeer, int Descriptors);

    /// <param name="Dead">Leases on a connection that the peer had closed before the rent began.</param>
    /// <param name="PeerClosed">Closed for that reason.</param>
    public sealed record Chase(int Dead, long PeerClosed);

    [Fact]
    public async Task A_thousand_that_close_at_once_are_closed_before_anybody_asks()
    {
        Wave wave = await NetworkNamespace.RunAsync(CloseThousandAsync, NamespaceSettings.FullRange);
        output.WriteLine($"The peer took {wave.PeerMilliseconds:0} ms to close 1,000, the pool was done after {wave.Milliseconds:0} ms.");
        Assert.Equal((Thousand, Thousand, 0), (wave.PeerClosed, wave.ByPeer, wave.Descriptors));
    }

    [Fact]
    public async Task A_rent_right_after_the_peers_close_gets_a_live_connection_every_time() =>
        Assert.Equal(new Chase(0, Rounds), await NetworkNamespace.RunAsync(ChaseAsync, NamespaceSettings.FullRange));

    private static async Task<Wave> CloseThousandAsync()
    {
        using var peer = Peer.Start();
        await using PooledTcpClient client = NewClient(Thousand);
        TcpPool pool = client.GetPool("server");
        await pool.WarmUpAsync(Thousand);
        Socket[] accepted = [.. Enumerable.Range(0, Thousand).Select(_ => peer.Accept())];

        long start = Stopwatch.GetTimestamp();
        Array.ForEach(accepted, static socket => socket.Dispose());
        TimeSpan closing = Stopwatch.GetElapsedTime(start);
        await KernelView.UntilAsync(() => pool.GetSnapshot() is { Closed: Thousand, Closing: 0 }, "the pool has closed them all");
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        TcpPoolSnapshot now = pool.GetSnapshot();
        return new Wave(
            closing.TotalMilliseconds, took.TotalMilliseconds, now.ClosedByReason["peer_closed"], now.ClosedByPeer,
            await Outage.Sockets.OpenInTheEndAsync(0));
    }

    private static async Task<Chase> ChaseAsync()
    {
        using var peer = Peer.Start();
        await using PooledTcpClient client = NewClient(4);
        TcpPool pool = client.GetPool("server");
        await pool.WarmUpAsync(1);
        int dead = 0;
        for (int round = 0; round < Rounds; round++)
        {
            // On loopback the FIN is there when the call returns; where the watcher is by then, is a matter of luck.
            peer.Accept().Dispose();
            if (round % 3 == 1)
            {
                await Task.Yield();
            }
            else if (round % 3 == 2)
            {
                await Task.Delay(1);
            }

            await using TcpLease lease = await pool.RentAsync();
            dead += lease.PeerClosed || lease.IsReused ? 1 : 0;
            lease.Complete();
        }

        await KernelView.UntilAsync(() => pool.GetSnapshot() is { Closed: Rounds, Closing: 0 }, "the pool has closed them all");
        return new Chase(dead, pool.GetSnapshot().ClosedByReason["peer_closed"]);
    }

    private static PooledTcpClient NewClient(int connections) => new(new PooledTcpOptions().AddEndpoint("server", endpoint =>
    {
        endpoint.Address = $"{NamespaceSettings.Server}:5001";
        endpoint.MaxConnections = connections;
        endpoint.MaxConnecting = 16;
        endpoint.RentTimeout = endpoint.ConnectTimeout = TimeSpan.FromMinutes(1);
    }));
}
