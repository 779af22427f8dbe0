using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>The end of a client: drained or disposed of.</summary>
public sealed class ClientEndTests
{
    [Fact]
    public async Task DrainAsync_refuses_new_rents_serves_waiters_and_waits_for_leases()
    {
        await using ClientHarness client = new("cache");
        client.Apply("cache", static o => o.MaxConnections = 1);
        TcpPool pool = client.Client.GetPool("cache");
        TcpLease lease = await ClientHarness.RentAsync(pool);
        Task<TcpLease> waiting = ClientHarness.RentAsync(pool);
        Task drained = client.Client.DrainAsync(TimeSpan.FromSeconds(30)).AsTask();
        await Assert.ThrowsAsync<PoolClosedException>(() => ClientHarness.RentAsync(pool));
        await Assert.ThrowsAsync<PoolClosedException>(() => ClientHarness.RentAsync(client.Client.GetPool(ClientHarness.Device)));
        PoolHarness.Return(lease);
        TcpLease last = await waiting;
        Assert.False(drained.IsCompleted);
        PoolHarness.Return(last);
        await drained.WaitAsync(PoolHarness.Hang);
        Assert.Equal(TcpPoolState.Closed, pool.GetSnapshot().State);
        Assert.All(client.Transports, static t => Assert.True(t.IsClosed));
    }

    [Fact]
    public async Task A_pool_made_while_draining_is_born_draining()
    {
        await using ClientHarness client = new("cache");
        TcpLease lease = await ClientHarness.RentAsync(client.Client.GetPool("cache"));
        Task drained = client.Client.DrainAsync(Timeout.InfiniteTimeSpan).AsTask();

        TcpPool late = client.Client.GetPool(ClientHarness.Device);
        Assert.NotEqual(TcpPoolState.Open, late.GetSnapshot().State);
        Assert.Contains("draining", (await Assert.ThrowsAsync<PoolClosedException>(() => ClientHarness.RentAsync(late))).Message, StringComparison.Ordinal);
        Assert.Equal(0, late.GetSnapshot().Created);
        Assert.False(drained.IsCompleted);
        PoolHarness.Return(lease);
        await drained.WaitAsync(PoolHarness.Hang);
    }

    [Fact]
    public async Task DrainAsyncs_deadline_interrupts_the_leases()
    {
        await using ClientHarness client = new("cache");
        TcpLease lease = await ClientHarness.RentAsync(client.Client.GetPool("cache"));
        Task<int> receive = lease.ReceiveAsync(new byte[1]).AsTask();
        Task drained = client.Client.DrainAsync(TimeSpan.FromSeconds(2)).AsTask();
        client.Time.Advance(TimeSpan.FromSeconds(2));
        await drained.WaitAsync(PoolHarness.Hang);
        Assert.Contains("PoolShutdown", (await Assert.ThrowsAsync<ConnectionFaultedException>(() => receive)).Message, StringComparison.Ordinal);
        lease.Dispose();
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => client.Client.DrainAsync(TimeSpan.FromSeconds(-1)).AsTask());
    }

    [Fact]
    public async Task DrainAsyncs_token_ends_the_wait_as_the_deadline_does()
    {
        await using ClientHarness client = new("cache");
        TcpLease lease = await ClientHarness.RentAsync(client.Client.GetPool("cache"));
        using CancellationTokenSource stop = new();
        Task drained = client.Client.DrainAsync(Timeout.InfiniteTimeSpan, stop.Token).AsTask();
        Assert.False(drained.IsCompleted);
        await stop.CancelAsync();
        await drained.WaitAsync(PoolHarness.Hang);
        Assert.True(client.Transports.Single().IsClosed);
        lease.Dispose();
    }

    [Fact]
    public async Task DrainAsync_refuses_a_deadline_no_timer_can_hold_before_anything_drains()
    {
        await using ClientHarness client = new("cache");
        TcpPool pool = client.Client.GetPool("cache");
        PoolHarness.Return(await ClientHarness.RentAsync(pool));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => client.Client.DrainAsync(TimeSpan.MaxValue).AsTask().WaitAsync(PoolHarness.Hang));
        Assert.Equal(TcpPoolState.Open, pool.GetSnapshot().State);
        Assert.True(pool.TryRent(out TcpLease lease));
        PoolHarness.Return(lease);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispose_closes_everything_now(bool synchronously)
    {
        ClientHarness client = new("cache");
        TcpPool pool = client.Client.GetPool("cache");
        TcpLease lease = await ClientHarness.RentAsync(pool);
        PoolHarness.Return(await ClientHarness.RentAsync(pool));
        if (synchronously)
        {
            client.Client.Dispose();
        }

        await client.DisposeAsync();
        await client.DisposeAsync();
        Assert.All(client.Transports, static t => Assert.True(t.IsClosed));
        await Assert.ThrowsAsync<PoolClosedException>(() => ClientHarness.RentAsync(pool));
        await Assert.ThrowsAsync<PoolClosedException>(() => ClientHarness.RentAsync(client.Client.GetPool(ClientHarness.Device)));
        Assert.Throws<ArgumentException>(() => client.Client.GetPool("never configured"));
        lease.Dispose();
        await PoolHarness.UntilAsync(() => client.Time.ArmedTimers == 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_end_waits_for_closes_under_way_but_not_for_ever(bool drain)
    {
        ClientHarness client = new("cache");
        client.Apply("cache", static e =>
        {
            e.MaxUses = 1;
            e.Shutdown.Goodbye = "redis";
        });
        client.OnTransport = static t => t.PeerHoldsOn = true;
        PoolHarness.Return(await ClientHarness.RentAsync(client.Client.GetPool("cache")));
        FakeTransport transport = client.Transports.Single();
        await PoolHarness.UntilAsync(() => string.Equals(transport.Moves, "farewell wait", StringComparison.Ordinal));

        Task end = drain ? client.Client.DrainAsync(TimeSpan.Zero).AsTask() : client.Client.DisposeAsync().AsTask();
        Assert.False(end.IsCompleted);

        // GoodbyeTimeout, then DrainTimeout, each once its wait has begun: time that ran on before would be the end's own, which is 5 s.
        client.Time.Advance(TimeSpan.FromSeconds(1));
        await PoolHarness.UntilAsync(() => transport.Moves.EndsWith("fin wait", StringComparison.Ordinal));
        client.Time.Advance(TimeSpan.FromSeconds(2));
        await end.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.True(transport.IsClosed);
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_close_that_waits_for_its_share_does_not_hold_up_the_end()
    {
        ClientHarness client = new("cache");
        client.Apply("cache", static e =>
        {
            e.MaxUses = 1;
            e.Shutdown.ClosesFirst = ClosesFirst.Client;
            e.Shutdown.DrainTimeout = TimeSpan.FromHours(1);
            e.Shutdown.GoodbyeTimeout = TimeSpan.FromMilliseconds(1);
        });
        client.OnTransport = static t => t.PeerHoldsOn = true;
        PoolHarness.Return(await ClientHarness.RentAsync(client.Client.GetPool("cache")));
        Task end = client.Client.DisposeAsync().AsTask();
        Assert.False(end.IsCompleted);
        client.Transports.Single().PeerCloses();
        await end.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
    }
}
