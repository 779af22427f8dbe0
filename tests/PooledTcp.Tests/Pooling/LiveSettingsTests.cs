using PooledTcp.Configuration;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>New settings on a running pool.</summary>
public sealed class LiveSettingsTests
{
    [Fact]
    public async Task A_lowered_limit_closes_the_idle_surplus_as_over_capacity()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 6));
        await pool.FillAsync(6);
        pool.Core.Apply(PoolHarness.Settings(max: 2));
        pool.AssertCounts(idle: 2);
        Assert.Equal(4, pool.Now.ClosedByReason["over_capacity"]);
        Assert.Equal(0, pool.Now.Generation);
        Assert.Equal(2, pool.Now.MaxConnections);
    }

    [Fact]
    public async Task A_lowered_limit_closes_leased_ones_at_return_until_it_is_reached()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 4));
        TcpLease[] leases = [await pool.RentAsync(), await pool.RentAsync(), await pool.RentAsync(), await pool.RentAsync()];
        pool.Core.Apply(PoolHarness.Settings(max: 1));
        Assert.All(leases, static l => Assert.False(l.PeerClosed));
        foreach (TcpLease lease in leases)
        {
            PoolHarness.Return(lease);
        }

        pool.AssertCounts(idle: 1, used: 0);
        Assert.Equal(3, pool.Now.ClosedByReason["over_capacity"]);
        Assert.True(pool.Pool.TryRent(out _));
    }

    [Fact]
    public async Task A_lowered_limit_is_reached_although_somebody_always_waits()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 2));
        TcpLease first = await pool.RentAsync();
        TcpLease second = await pool.RentAsync();
        Task<TcpLease>[] waiting = [pool.RentAsync(), pool.RentAsync()];
        pool.Core.Apply(PoolHarness.Settings(max: 1));

        PoolHarness.Return(first);
        pool.AssertCounts(used: 1, waiting: 2);
        PoolHarness.Return(second);
        PoolHarness.Return(await waiting[0]);
        PoolHarness.Return(await waiting[1]);
        pool.AssertCounts(idle: 1, used: 0);
    }

    [Fact]
    public async Task A_raised_limit_serves_waiters()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease>[] waiting = [pool.RentAsync(), pool.RentAsync()];
        pool.Core.Apply(PoolHarness.Settings(max: 3));
        await Task.WhenAll(waiting);
        pool.AssertCounts(used: 3, waiting: 0);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task A_raised_MaxConnecting_dials_at_once()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 1));
        Task<TcpLease>[] waiting = [pool.RentAsync(), pool.RentAsync(), pool.RentAsync()];
        pool.AssertCounts(connecting: 1);
        pool.Core.Apply(PoolHarness.Settings(connecting: 3));
        pool.AssertCounts(connecting: 3, waiting: 3);
        foreach (FakeDial dial in await pool.Connector.NextAsync(3))
        {
            dial.Open();
        }

        await Task.WhenAll(waiting);
    }

    [Fact]
    public async Task Limits_start_no_new_generation()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long[] ids = await pool.FillAsync(1);
        pool.Core.Apply(PoolHarness.Settings(max: 50, connecting: 9, waiters: 3, idle: TimeSpan.FromHours(1)));
        Assert.Equal(0, pool.Now.Generation);
        Assert.Equal(ids[0], (await pool.RentAsync()).ConnectionId);
    }

    [Fact]
    public async Task Socket_settings_start_a_new_generation()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(2);
        TcpLease leased = await pool.RentAsync();
        PoolSettings settings = PoolHarness.Settings();
        pool.Core.Apply(settings with { Socket = settings.Socket with { NoDelay = false } });

        Assert.Equal(1, pool.Now.Generation);
        pool.AssertCounts(idle: 0, used: 1);
        PoolHarness.Return(leased);
        Assert.Equal(2, pool.Now.ClosedByReason["options_changed"]);
    }

    [Fact]
    public async Task A_changed_address_is_dialed_from_now_on()
    {
        await using PoolHarness pool = new();
        Task<TcpLease> rent = pool.RentAsync();
        await pool.Connector.NextAsync();
        pool.Core.Apply(PoolHarness.Settings() with { Address = EndpointAddress.Parse("10.9.9.9:1") });
        FakeDial dial = await pool.Connector.NextAsync();
        Assert.Equal("10.9.9.9:1", dial.Settings.Address.ToString());
        dial.Open();
        await rent;
    }

    [Fact]
    public async Task The_idle_limit_is_compared_with_the_idle_ones()
    {
        // ClickHouse 119072: the idle limit was compared with the total, so nothing was ever kept: 1,935,132 connections
        // for one use each.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 10, minIdle: 2, idle: TimeSpan.FromMinutes(1)));
        TcpLease[] held = [await pool.RentAsync(), await pool.RentAsync(), await pool.RentAsync()];
        pool.Maintain();
        await pool.UntilAsync(static now => now.Idle == 2);
        for (int minute = 0; minute < 5; minute++)
        {
            pool.Pass(TimeSpan.FromMinutes(1));
            PoolHarness.Return(await pool.RentAsync());
        }

        pool.AssertCounts(idle: 2, used: held.Length);
        Assert.Equal(5, pool.Connector.Dials);
    }

    [Fact]
    public async Task A_shorter_Lifetime_holds_at_the_next_return_and_the_next_rent()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        TcpLease[] leases = [await pool.RentAsync(), await pool.RentAsync()];
        pool.Pass(TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(5));
        PoolHarness.Return(leases[0]);
        pool.AssertCounts(idle: 1, used: 1);

        // No sweep has run under the new settings.
        pool.Core.Apply(PoolHarness.Settings(lifetime: TimeSpan.FromMinutes(1)));
        PoolHarness.Return(leases[1]);
        pool.AssertCounts(idle: 1, used: 0);
        Assert.False(pool.Pool.TryRent(out _));
        Assert.Equal(2, pool.Now.ClosedByReason["max_lifetime"]);
    }

    [Fact]
    public async Task A_shorter_IdleTimeout_holds_at_the_next_rent()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(1);
        pool.Pass(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(5));
        pool.Core.Apply(PoolHarness.Settings(idle: TimeSpan.FromSeconds(30)));
        Assert.False(pool.Pool.TryRent(out _));
        Assert.Equal(1, pool.Now.ClosedByReason["idle_timeout"]);
    }
}
