using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Hosting;

/// <summary>While the host stops, and until all its services have: rents are served, and nothing is dialed in advance.</summary>
public sealed class StoppingTests
{
    [Fact]
    public async Task Rents_are_served_by_idle_connections_and_by_dials()
    {
        await using PooledTcpClient client = Client(minIdle: 0, out FakeConnector connector);
        TcpPool pool = client.GetPool("cache");
        client.BeginStopping();
        TcpLease first = await RentAsync(pool);
        TcpLease second = await RentAsync(pool);
        Assert.Equal(2, connector.Dials);
        PoolHarness.Return(first);
        PoolHarness.Return(await RentAsync(pool));
        PoolHarness.Return(second);
        Assert.Equal((2, 2), (connector.Dials, pool.GetSnapshot().Idle));
    }

    [Fact]
    public async Task MinIdleConnections_are_not_made_up_for()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 10, minIdle: 3));
        pool.Maintain();
        await pool.UntilAsync(static now => now.Idle == 3);
        pool.Services.IsStopping = true;
        TcpLease lease = await pool.RentAsync();
        lease.Discard();
        pool.Pool.Clear();
        pool.Pass(TimeSpan.FromMinutes(1));
        Assert.Equal(3, pool.Connector.Dials);

        // And with nothing to keep, nobody looks after it.
        Assert.Null(pool.Maintain());
    }

    [Fact(Timeout = 60_000)]
    public async Task Warm_ups_end_and_new_ones_are_refused()
    {
        await using PooledTcpClient client = Client(minIdle: 0, out FakeConnector connector);
        connector.Automatic = null;
        TcpPool pool = client.GetPool("cache");
        Task running = pool.WarmUpAsync(3, TestContext.Current.CancellationToken);
        FakeDial dial = await connector.NextAsync();
        client.BeginStopping();
        PoolClosedException ended = await Assert.ThrowsAsync<PoolClosedException>(() => running.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken));
        PoolClosedException refused = await Assert.ThrowsAsync<PoolClosedException>(() => pool.WarmUpAsync(1, TestContext.Current.CancellationToken));
        Assert.Equal("Pool 'cache' is not warmed up any more: its host is stopping, and nothing is dialed in advance.", ended.Message);
        Assert.Equal(ended.Message, refused.Message);

        // What is under way ends as it would, and serves whoever still comes.
        dial.Open();
        PoolHarness.Return(await RentAsync(pool));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_warm_up_that_races_the_stop_never_waits_for_ever()
    {
        for (int round = 0; round < 200; round++)
        {
            await using PooledTcpClient client = Client(minIdle: 0, out FakeConnector connector);
            connector.Automatic = null;
            TcpPool pool = client.GetPool("cache");
            Task warm = Task.Run(() => pool.WarmUpAsync(1, CancellationToken.None), TestContext.Current.CancellationToken);
            client.BeginStopping();
            await Assert.ThrowsAsync<PoolClosedException>(() => warm.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken));
        }
    }

    private static Task<TcpLease> RentAsync(TcpPool pool) => pool.RentAsync(CancellationToken.None).AsTask().WaitAsync(PoolHarness.Hang);

    private static PooledTcpClient Client(int minIdle, out FakeConnector connector)
    {
        PooledTcpOptions options = new();
        options.AddEndpoint("cache", endpoint =>
        {
            endpoint.Address = "10.1.0.1:7000";
            endpoint.MinIdleConnections = minIdle;
            endpoint.MaxConnecting = 1;
        });
        FakeConnector made = new() { Automatic = static _ => new FakeTransport() };
        connector = made;
        return new PooledTcpClient(
            SettingsFactory.Create(options), new Dictionary<string, EndpointHooks>(), null, null, new FakeTime(), (_, _) => made);
    }
}
