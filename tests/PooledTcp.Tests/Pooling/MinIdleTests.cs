using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>MinIdleConnections: kept by dials in the background.</summary>
public sealed class MinIdleTests
{
    [Fact]
    public async Task MinIdleConnections_are_kept_by_background_dials()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 10, minIdle: 3));
        pool.Maintain();
        await pool.UntilAsync(static now => now.Idle == 3);

        // Rented ones are made up for, and come on top when they return.
        TcpLease first = await pool.RentAsync();
        TcpLease second = await pool.RentAsync();
        pool.Maintain();
        await pool.UntilAsync(static now => now is { Idle: 3, Used: 2 });
        PoolHarness.Return(first);
        PoolHarness.Return(second);
        pool.AssertCounts(idle: 5, used: 0);
    }

    [Fact]
    public async Task The_background_keeps_within_MaxConnecting_and_MaxConnections()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 5, connecting: 2, minIdle: 5));
        (TcpLease _, _) = await pool.DialAsync();
        pool.Maintain();
        pool.AssertCounts(used: 1, connecting: 2);
        foreach (FakeDial dial in await pool.Connector.NextAsync(2))
        {
            dial.Open();
        }

        await pool.UntilAsync(static now => now.Idle == 2);
        pool.Maintain();
        foreach (FakeDial dial in await pool.Connector.NextAsync(2))
        {
            dial.Open();
        }

        await pool.UntilAsync(static now => now.Idle == 4);
        pool.Maintain();
        pool.AssertCounts(idle: 4, used: 1, connecting: 0);
    }

    [Fact]
    public async Task A_look_while_dials_run_starts_no_more_of_them()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 10, minIdle: 2));
        pool.Maintain();
        pool.Maintain();
        pool.AssertCounts(connecting: 2);
        await pool.Connector.NextAsync(2);
        Assert.Equal(2, pool.Connector.Dials);
    }

    [Fact]
    public async Task IdleTimeout_does_not_shrink_below_MinIdleConnections_and_takes_the_coldest()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 10, minIdle: 2, idle: TimeSpan.FromMinutes(1)));
        long[] ids = await pool.FillAsync(4);
        pool.Pass(TimeSpan.FromSeconds(30));

        // Two of them are used half-way, so the other two are the cold ones.
        TcpLease warm1 = await pool.RentAsync();
        TcpLease warm2 = await pool.RentAsync();
        long[] warm = [warm1.ConnectionId, warm2.ConnectionId];
        PoolHarness.Return(warm1);
        PoolHarness.Return(warm2);
        pool.Pass(TimeSpan.FromMinutes(5));

        pool.AssertCounts(idle: 2);
        Assert.Equal(4, pool.Connector.Dials);
        long[] left = [(await pool.RentAsync()).ConnectionId, (await pool.RentAsync()).ConnectionId];
        Assert.Equal(warm.Order(), left.Order());
        Assert.All(left, id => Assert.Contains(id, ids));
    }

    [Fact]
    public async Task Lifetime_replaces_the_ones_that_are_kept()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(minIdle: 2, lifetime: TimeSpan.FromMinutes(1)));
        pool.Maintain();
        await pool.UntilAsync(static now => now.Idle == 2);
        pool.Pass(TimeSpan.FromMinutes(1));
        await pool.UntilAsync(static now => now is { Idle: 2, Created: 4, Closed: 2 });
    }

    [Fact]
    public async Task A_failed_top_up_is_not_a_hot_loop()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(minIdle: 2, max: 4));
        pool.Maintain();
        FakeDial[] dials = await pool.Connector.NextAsync(2);

        // Each failure asks for a look, and so does every close; none of these looks dials.
        dials[0].Fail();
        await pool.UntilAsync(static now => now.DialsFailed == 1);
        pool.Maintain();
        dials[1].Fail();
        await pool.UntilAsync(static now => now.DialsFailed == 2);
        pool.Maintain();
        pool.Maintain();
        pool.Maintain();
        pool.AssertCounts(connecting: 0);

        // The next sweep does: 90 s / 20.
        pool.Time.Advance(TimeSpan.FromSeconds(4.5));
        pool.Maintain();
        pool.AssertCounts(connecting: 2);
    }

    [Fact]
    public async Task A_waiter_takes_over_a_dial_of_the_background()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(minIdle: 1, max: 2));
        pool.Maintain();
        FakeDial dial = await pool.Connector.NextAsync();
        Task<TcpLease> rent = pool.RentAsync();
        pool.AssertCounts(connecting: 1, waiting: 1);
        dial.Open();
        await rent;
    }

    [Fact]
    public async Task A_paused_pool_dials_for_nobody()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(minIdle: 1));
        pool.Pool.Pause();
        pool.Maintain();
        pool.AssertCounts(connecting: 0);
        pool.Pool.Resume();
        pool.Maintain();
        pool.AssertCounts(connecting: 1);
    }

    [Fact]
    public async Task The_maintenance_loop_keeps_them_without_being_asked()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(minIdle: 2), background: true);
        pool.Services.Maintenance.Request(pool.Core);
        await pool.UntilAsync(static now => now.Idle == 2);
        pool.Pool.Clear();
        await pool.UntilAsync(static now => now is { Idle: 2, Created: 4 });
    }

    [Fact]
    public async Task A_fresh_connection_that_cannot_be_parked_is_not_a_hot_loop()
    {
        // The server speaks first, and nobody listens: the next one would fare no better.
        await using PoolHarness pool = new(PoolHarness.Settings(minIdle: 1));
        pool.Maintain();
        (await pool.Connector.NextAsync()).Open(new FakeTransport { ParkResult = false });
        await pool.UntilAsync(static now => now.Closed == 1);
        pool.Maintain();
        pool.Maintain();
        pool.AssertCounts(idle: 0, connecting: 0);

        // 90 s / 20.
        pool.Time.Advance(TimeSpan.FromSeconds(4.5));
        pool.Maintain();
        pool.AssertCounts(connecting: 1);
    }
}
