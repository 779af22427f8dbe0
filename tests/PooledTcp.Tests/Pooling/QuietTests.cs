using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Pooling;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>What a pool does that lends nothing: as good as nothing, and no stamp is worse for it.</summary>
public sealed class QuietTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task The_sweep_sleeps_until_the_first_connection_reaches_its_end()
    {
        TimeSpan idle = 25 * Second;
        await using PoolHarness pool = PoolHarness.Automatic(Settings(idle));
        await pool.FillAsync(2);
        pool.Maintain();
        Assert.False(pool.Core.IsQuiet);

        pool.Time.Advance(Interval);
        Assert.Equal(idle, pool.Maintain());
        Assert.True(pool.Core.IsQuiet);
        pool.Time.Advance(idle - Interval);
        pool.Maintain();
        Assert.Equal(2, pool.Now.ClosedByReason["idle_timeout"]);
    }

    [Fact]
    public async Task A_rent_ends_the_quiet_and_is_stamped_by_the_clock()
    {
        await using PoolHarness pool = await QuietAsync();
        pool.Time.Advance(20 * Second);
        TcpLease lease = await pool.RentAsync();
        Assert.Equal(Interval + (20 * Second), lease.IdleFor);
        Assert.False(pool.Core.IsQuiet);
        pool.Time.Advance(3 * Second);
        PoolHarness.Return(lease);

        // It asked for a sweep, which takes the marks away: those who come now read no clock.
        pool.Maintain();
        long readings = pool.Time.Readings;
        PoolHarness.Return(await pool.RentAsync());
        Assert.Equal(readings, pool.Time.Readings);
        pool.Time.Advance(7 * Second);
        pool.Maintain();
        lease = await pool.RentAsync();
        Assert.Equal(7 * Second, lease.IdleFor);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task A_lease_may_outlast_the_quiet_and_its_return_is_stamped_by_the_clock()
    {
        await using PoolHarness pool = PoolHarness.Automatic(Settings());
        TcpLease lease = await pool.RentAsync();
        pool.Maintain();
        pool.Time.Advance(Interval);

        // The lease may come back at any time, and idle from then on: there is no end to sleep until.
        Assert.Equal(2 * Interval, pool.Maintain());
        Assert.True(pool.Core.IsQuiet);
        pool.Time.Advance(3 * Second);
        PoolHarness.Return(lease);
        pool.Time.Advance(4 * Second);
        lease = await pool.RentAsync();
        Assert.Equal(4 * Second, lease.IdleFor);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task A_connection_past_its_end_is_not_lent_though_no_sweep_came_by()
    {
        await using PoolHarness pool = await QuietAsync(Settings(idle: 20 * Second));
        pool.Time.Advance(20 * Second);
        TcpLease lease = await pool.RentAsync();
        Assert.False(lease.IsReused);
        Assert.Equal(1, pool.Now.ClosedByReason["idle_timeout"]);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task A_close_ends_the_sleep()
    {
        await using PoolHarness pool = await QuietAsync(count: 2);
        pool.Time.Advance(Second);
        pool.PeerWatch.CloseByPeer(pool.PeerWatch.AnyId()!.Value);
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(pool.Services.Clock.Read() + Interval, pool.Maintain());
    }

    [Fact]
    public async Task New_settings_end_the_sleep()
    {
        await using PoolHarness pool = await QuietAsync();
        pool.Core.Apply(Settings(idle: 2 * Second));
        pool.Maintain();
        Assert.Equal(1, pool.Now.ClosedByReason["idle_timeout"]);
    }

    [Fact]
    public async Task What_no_event_tells_of_is_looked_at_as_ever()
    {
        await using PoolHarness pool = PoolHarness.Automatic(Settings());
        pool.PeerWatch.Fails = true;
        await pool.FillAsync(1);
        pool.Maintain();
        pool.Time.Advance(Interval);
        Assert.Equal(2 * Interval, pool.Maintain());
        pool.Connector.Transports.Single().PeerClosesNow();
        pool.Time.Advance(Interval);
        pool.Maintain();
        await pool.UntilAsync(static now => now.Closed == 1);
    }

    /// <summary>Every time it is looked at; a watch that broke down meanwhile is found, and with it what it did not tell of.</summary>
    [Fact]
    public async Task A_sleep_goes_on_until_there_is_something_to_sweep()
    {
        await using PoolHarness pool = await QuietAsync(count: 2);
        for (int looks = 0; looks < 3; looks++)
        {
            pool.Time.Advance(ConnectionPool.LongestSleep);
            Assert.Equal(pool.Services.Clock.Read() + ConnectionPool.LongestSleep, pool.Maintain());
        }

        TcpConnection connection = pool.PeerWatch.Find(pool.PeerWatch.AnyId()!.Value);
        connection.IsWatched = false;
        pool.Connector.Transports.Single(transport => transport == connection.Transport).PeerClosesNow();
        pool.Time.Advance(ConnectionPool.LongestSleep);
        pool.Maintain();
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
    }

    [Fact]
    public async Task Kept_past_IdleTimeout_they_are_not_looked_at_again_and_again()
    {
        await using PoolHarness pool = PoolHarness.Automatic(Settings(idle: 10 * Second) with { MinIdleConnections = 2 });
        await pool.FillAsync(2);
        pool.Pass(20 * Second);
        TimeSpan due = pool.Maintain()!.Value;
        Assert.True(due - pool.Services.Clock.Read() > Interval, $"{due} at {pool.Services.Clock.Read()}");
        pool.AssertCounts(idle: 2);
    }

    [Fact]
    public async Task In_the_background_no_timer_ticks()
    {
        await using PoolHarness pool = PoolHarness.Automatic(Settings(), background: true);
        await pool.FillAsync(1);
        await PoolHarness.UntilAsync(() =>
        {
            if (pool.Time.ArmedTimers == 0)
            {
                // It fired, and the loop is at work.
                return false;
            }

            // With a tick each second there is no timer that lets five pass. (The rent's deadline does not, either.)
            int changes = pool.Time.Changes;
            pool.Time.Advance(Interval);
            return pool.Time.Changes == changes;
        });
    }

    private static PoolSettings Settings(TimeSpan? idle = null) =>
        PoolHarness.Settings(idle: idle ?? TimeSpan.FromMinutes(10), lifetime: Timeout.InfiniteTimeSpan) with { RetentionPeriod = Timeout.InfiniteTimeSpan };

    /// <summary>A pool that has lent nothing between two sweeps, the last of them just now.</summary>
    private static async Task<PoolHarness> QuietAsync(PoolSettings? settings = null, int count = 1)
    {
        PoolHarness pool = PoolHarness.Automatic(settings ?? Settings());
        await pool.FillAsync(count);
        pool.Maintain();
        pool.Time.Advance(Interval);
        TimeSpan asleepUntil = pool.Maintain()!.Value;
        Assert.True(pool.Core.IsQuiet);
        Assert.True(asleepUntil > 2 * Interval, $"{asleepUntil}");
        return pool;
    }
}
