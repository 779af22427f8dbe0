using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using Xunit;

namespace PooledTcp.KernelTests.Health;

/// <summary>A peer that is there no more and said nothing: what the pool learns of it from the kernel while the connection idles.</summary>
public sealed class VanishedPeerTests
{
    /// <param name="LentAgain">How often it was lent after the cable was cut, before it was found out.</param>
    /// <param name="Reasons">By which connections were closed, sorted.</param>
    /// <param name="Methods">The same of methods.</param>
    public sealed record Ending(bool LentAgain, string Reasons, string Methods);

    /// <summary>The user timeout is far away, so keepalive does not end it: only the age of the last ACK tells.</summary>
    [Fact]
    public async Task A_rent_finds_it_by_the_age_of_the_last_ack_and_aborts()
    {
        Ending ending = await NetworkNamespace.RunAsync(RentAsync, NamespaceSettings.FullRange);
        Assert.Equal(new Ending(LentAgain: false, "vanished", "abort"), ending);
    }

    [Fact]
    public async Task Keepalive_ends_it_and_the_event_closes_it_before_anybody_asks()
    {
        Ending ending = await NetworkNamespace.RunAsync(IdleAsync, NamespaceSettings.FullRange);
        Assert.Equal(new Ending(LentAgain: false, "vanished", "passive"), ending);
    }

    private static async Task<Ending> RentAsync()
    {
        using var peer = Peer.Start();
        await using PooledTcpClient client = NewClient(userTimeout: TimeSpan.FromMinutes(10));
        TcpPool pool = client.GetPool("server");
        (long id, Socket server) = await OpenAsync(pool, peer);
        using Socket deaf = server;

        // Keepalive Time + Interval x Count is 3 s; no rent comes in between, which would count as being heard of.
        CutCable.To(deaf);
        await Task.Delay(TimeSpan.FromSeconds(5));
        await using TcpLease lease = await pool.RentAsync();
        await KernelView.UntilAsync(() => pool.GetSnapshot() is { Closed: 1, Closing: 0 }, "the close has ended");
        return Summarize(pool, lease.ConnectionId == id);
    }

    private static async Task<Ending> IdleAsync()
    {
        using var peer = Peer.Start();
        await using PooledTcpClient client = NewClient(userTimeout: TimeSpan.FromSeconds(3));
        TcpPool pool = client.GetPool("server");
        (_, Socket server) = await OpenAsync(pool, peer);
        using Socket deaf = server;
        CutCable.To(deaf);
        await KernelView.UntilAsync(() => pool.GetSnapshot() is { Closed: 1, Closing: 0 }, "the close has ended");
        return Summarize(pool, lentAgain: false);
    }

    private static PooledTcpClient NewClient(TimeSpan userTimeout) => new(new PooledTcpOptions().AddEndpoint("server", endpoint =>
    {
        endpoint.Address = $"{NamespaceSettings.Server}:5001";
        endpoint.KeepAlive.Time = TimeSpan.FromSeconds(1);
        endpoint.KeepAlive.Interval = TimeSpan.FromSeconds(1);
        endpoint.KeepAlive.Count = 2;
        endpoint.UserTimeout = userTimeout;
        endpoint.IdleTimeout = TimeSpan.FromMinutes(10);
        endpoint.RentTimeout = endpoint.ConnectTimeout = TimeSpan.FromMinutes(1);
    }));

    private static async Task<(long Id, Socket Server)> OpenAsync(TcpPool pool, Peer peer)
    {
        await using TcpLease lease = await pool.RentAsync();
        Socket server = peer.Accept();
        byte[] one = [1];
        await lease.SendAsync(one);
        server.Receive(one);
        server.Send(one);
        await lease.ReceiveAsync(one);
        lease.Complete();
        return (lease.ConnectionId, server);
    }

    private static Ending Summarize(TcpPool pool, bool lentAgain)
    {
        TcpPoolSnapshot now = pool.GetSnapshot();
        return new Ending(
            lentAgain, string.Join(',', now.ClosedByReason.Keys.Order(StringComparer.Ordinal)), string.Join(',', now.ClosedByMethod.Keys.Order(StringComparer.Ordinal)));
    }
}
