using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>What operators do to a pool that is at work.</summary>
public sealed class PoolTests(GarnetEmbedded server) : IClassFixture<GarnetEmbedded>
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task A_warm_up_opens_what_the_server_then_counts_and_later_rents_dial_no_more()
    {
        await using var own = new GarnetEmbedded();
        await own.StartAsync();
        await using PooledTcpClient client = own.NewClient(static endpoint => endpoint.MaxConnections = 10);
        TcpPool pool = client.GetPool("server");

        await pool.WarmUpAsync(8, Token);

        Assert.Equal(8, pool.GetSnapshot().Created);
        await KernelSockets.MatchAsync(pool, own.Port);

        TcpLease[] leases = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => pool.RentAsync(Token).AsTask()));
        foreach (TcpLease lease in leases)
        {
            Assert.False(lease.IsReused);
            Assert.Equal("PONG", (await lease.CommandAsync(Token, "PING")).Text);
        }

        Assert.Equal(8, await ServerView.CountClientsAsync(own.Port, Token));
        foreach (TcpLease lease in leases)
        {
            lease.Complete();
            lease.Dispose();
        }

        Assert.Equal(8, pool.GetSnapshot().Created);
        Assert.Equal(8, pool.GetSnapshot().Idle);
    }

    [Fact(Timeout = Limit)]
    public async Task MinIdleConnections_are_there_before_anybody_asks_and_no_more_of_them_after_each_clear()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint => endpoint.MinIdleConnections = 3);
        TcpPool pool = client.GetPool("server");
        await Eventually.TrueAsync(() => pool.GetSnapshot().Idle == 3, () => $"{pool.GetSnapshot()}");
        for (int clear = 1; clear <= 50; clear++)
        {
            pool.Clear();
            await Eventually.TrueAsync(
                () => pool.GetSnapshot() is { Idle: >= 3, Connecting: 0, Closing: 0 }, () => $"{pool.GetSnapshot()}");
            Assert.Equal(3 * (clear + 1), pool.GetSnapshot().Created);
        }

        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task Clear_under_load_reaches_no_caller()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint => endpoint.MaxConnections = 6);
        TcpPool pool = client.GetPool("server");
        int served = 0;
        Task callers = Task.WhenAll(Enumerable.Range(0, 16).Select(caller => Task.Run(async () =>
        {
            for (int i = 0; i < 200; i++)
            {
                string id = $"caller {caller} request {i}";
                Assert.Equal(id, (await pool.CommandAsync(Token, "ECHO", id)).Text);
                Interlocked.Increment(ref served);
            }
        })));
        for (int clear = 1; clear <= 40; clear++)
        {
            int until = clear * 60;
            await Eventually.TrueAsync(() => Volatile.Read(ref served) >= until, () => $"{served} served: {pool.GetSnapshot()}");
            pool.Clear();
        }

        await callers;

        Assert.Equal(3200, served);
        TcpPoolSnapshot after = pool.GetSnapshot();
        Assert.Equal(40, after.Generation);
        Assert.Equal(["cleared"], after.ClosedByReason.Keys);

        // Callers may outrun a starved loop, and two clears then come so close that the second finds nothing open.
        Assert.InRange(after.ClosedByReason["cleared"], 1, after.Created);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task Clear_with_interruption_ends_a_pending_receive_with_a_typed_error()
    {
        await using PooledTcpClient client = server.NewClient();
        TcpPool pool = client.GetPool("server");
        await using TcpLease lease = await pool.RentAsync(Token);
        Assert.Equal("PONG", (await lease.CommandAsync(Token, "PING")).Text);
        Task<int> receive = lease.ReceiveAsync(new byte[1], Token).AsTask();

        pool.Clear(interruptLeases: true);

        var error = await Assert.ThrowsAsync<ConnectionFaultedException>(() => receive);
        Assert.Equal("server", error.PoolName);
        Assert.Equal("PONG", (await pool.CommandAsync(Token, "PING")).Text);
    }

    [Fact(Timeout = Limit)]
    public async Task Connections_that_the_server_closed_while_idle_are_not_lent()
    {
        await using var own = new GarnetEmbedded();
        await own.StartAsync();
        await using PooledTcpClient client = own.NewClient(static endpoint => endpoint.MaxConnections = 5);
        TcpPool pool = client.GetPool("server");
        await pool.WarmUpAsync(5, Token);
        Assert.Equal("PONG", (await pool.CommandAsync(Token, "PING")).Text);
        TcpLease watched = await pool.RentAsync(Token);

        await own.StopAsync();
        await Eventually.TrueAsync(() => watched.PeerClosed, static () => "The server's FIN never came.");
        watched.Dispose();
        await own.StartAsync();

        // The other ends may be a moment behind the one that was watched, so this asks the rent and not the clock:
        // whatever it lends must answer, or have been alive when it was looked at.
        await Eventually.TrueAsync(() => !pool.TryRent(out TcpLease stale) || Discard(stale), () => $"{pool.GetSnapshot()}");
        Assert.Equal("PONG", (await pool.CommandAsync(Token, "PING")).Text);
        Assert.True(pool.GetSnapshot().ClosedByReason["peer_closed"] >= 1);
        await KernelSockets.MatchAsync(pool, own.Port);

        static bool Discard(TcpLease lease)
        {
            lease.Discard();
            return false;
        }
    }

    [Fact(Timeout = Limit)]
    public async Task Rents_wait_while_the_pool_is_paused_and_are_all_served_when_it_resumes()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint => endpoint.MaxConnections = 3);
        TcpPool pool = client.GetPool("server");
        await pool.WarmUpAsync(3, Token);
        pool.Pause();
        Task<RespReply>[] waiting = [.. Enumerable.Range(0, 10).Select(i => pool.CommandAsync(Token, "ECHO", $"{i}"))];
        await Eventually.TrueAsync(() => pool.GetSnapshot().Waiting == 10, () => $"{pool.GetSnapshot()}");
        Assert.Equal(TcpPoolState.Paused, pool.GetSnapshot().State);

        pool.Resume();

        RespReply[] replies = await Task.WhenAll(waiting);
        Assert.Equal(Enumerable.Range(0, 10).Select(static i => $"{i}"), replies.Select(static reply => reply.Text));
        Assert.Equal(3, pool.GetSnapshot().Created);
    }

    [Fact(Timeout = Limit)]
    public async Task A_disposed_client_leaves_no_socket_open()
    {
        PooledTcpClient client = server.NewClient(static endpoint => endpoint.MaxConnections = 6);
        TcpPool pool = client.GetPool("server");
        await pool.WarmUpAsync(6, Token);
        TcpLease held = await pool.RentAsync(Token);
        Task<int> receive = held.ReceiveAsync(new byte[1], Token).AsTask();

        await client.DisposeAsync();

        await Assert.ThrowsAsync<ConnectionFaultedException>(() => receive);
        await Assert.ThrowsAsync<PoolClosedException>(async () => await pool.RentAsync(Token));
        held.Dispose();
        await KernelSockets.MatchAsync(pool, server.Port);
        Assert.Equal(0, pool.GetSnapshot().Idle);
    }
}
