using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>The background loop, on its own timer.</summary>
public sealed class MaintenanceTests
{
    [Fact]
    public async Task Nothing_runs_while_there_is_nothing_to_do()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: TimeSpan.FromSeconds(10), lifetime: Timeout.InfiniteTimeSpan), background: true);
        Assert.Equal(0, pool.Time.ArmedTimers);

        await pool.FillAsync(2);
        await StepUntilAsync(pool, () => pool.Connector.Live == 0);
        await StepUntilAsync(pool, () => pool.Time.ArmedTimers == 0);
        long readings = pool.Time.Readings;
        pool.Time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(readings, pool.Time.Readings);
        Assert.Equal(2, pool.Now.ClosedByReason["idle_timeout"]);
    }

    [Fact]
    public async Task The_loop_closes_what_expired_without_any_rent()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(lifetime: TimeSpan.FromSeconds(20)), background: true);
        await pool.FillAsync(3);
        FakeTransport[] transports = [.. pool.Connector.Transports];
        await StepUntilAsync(pool, () => transports.All(static t => t.IsClosed));
        await Task.WhenAll(transports.Select(static t => t.Closed)).WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now.Closed == 3);
        Assert.Equal(3, pool.Now.ClosedByReason["max_lifetime"]);
    }

    [Fact]
    public async Task A_fault_in_one_look_is_reported_and_tried_again()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(lifetime: TimeSpan.FromSeconds(20)), background: true);
        await pool.FillAsync(1);
        int closes = 0;
        pool.OnSchedule = () =>
        {
            if (Interlocked.Increment(ref closes) == 1)
            {
                throw new InvalidOperationException("a defect");
            }
        };
        await StepUntilAsync(pool, () => pool.MaintenanceErrors.Count == 1);

        // The loop lives: it looks after what comes next.
        await pool.FillAsync(1);
        FakeTransport next = pool.Connector.Transports.Last();
        await StepUntilAsync(pool, () => next.IsClosed);
    }

    [Fact]
    public async Task Requests_made_while_it_looks_are_not_lost()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 20, minIdle: 5), background: true);
        for (int round = 0; round < 50; round++)
        {
            pool.Services.Maintenance.Request(pool.Core);
            await pool.UntilAsync(static now => now.Idle >= 5);
            pool.Pool.Clear();
        }

        await pool.UntilAsync(static now => now is { Idle: 5, Connecting: 0, Closing: 0 });
        await pool.StopMaintenanceAsync();
        pool.AssertCounts(idle: 5);
    }

    [Fact]
    public async Task An_unused_ad_hoc_pool_takes_itself_out_of_use_after_two_sweeps()
    {
        await using PoolHarness pool = PoolHarness.Automatic(isAdHoc: true);
        pool.Pass(TimeSpan.FromSeconds(1));
        Assert.False(pool.Core.IsRetired);
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Null(pool.Core.Maintain(pool.Services.Clock.Read(), out bool retired));
        Assert.True(retired);
        Assert.True(pool.Core.IsRetired);
        Assert.False(pool.Core.TryEnqueue(null, CancellationToken.None, out _));
        Assert.False(pool.Core.TryWarmUp(1, CancellationToken.None, out _));
        Assert.False(pool.Core.TryPause());
        Assert.False(pool.Core.TryResume());
        Assert.Equal(TcpPoolState.Open, pool.Core.GetSnapshot().State);
    }

    [Fact]
    public async Task An_ad_hoc_pool_in_use_or_paused_stays()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(lifetime: Timeout.InfiniteTimeSpan), isAdHoc: true);
        TcpLease lease = await pool.RentAsync();
        pool.Pass(TimeSpan.FromMinutes(10));
        Assert.False(pool.Core.IsRetired);
        lease.Dispose();
        pool.Pool.Pause();
        pool.Pass(TimeSpan.FromMinutes(10));
        Assert.False(pool.Core.IsRetired);
        pool.Pool.Resume();
        pool.Pass(TimeSpan.FromMinutes(1));
        Assert.True(pool.Core.IsRetired);
    }

    [Fact]
    public async Task A_configured_pool_never_retires()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        pool.Pass(TimeSpan.FromMinutes(10));
        Assert.False(pool.Core.IsRetired);
        Assert.Null(pool.Maintain());
    }

    [Fact]
    public async Task Infinite_timeouts_still_sweep_dead_links_and_expire_nothing()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: Timeout.InfiniteTimeSpan, lifetime: Timeout.InfiniteTimeSpan));
        await pool.FillAsync(2);
        pool.Pass(TimeSpan.FromDays(2), TimeSpan.FromHours(1));
        pool.AssertCounts(idle: 2);
        Assert.NotNull(pool.Maintain());
    }

    [Fact]
    public async Task A_closed_pool_is_looked_after_no_more()
    {
        PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(1);
        await pool.DisposeAsync();
        Assert.Null(pool.Maintain());
    }

    /// <summary>Fake time in steps of a second, with room for the loop to act after each.</summary>
    private static async Task StepUntilAsync(PoolHarness pool, Func<bool> condition)
    {
        await PoolHarness.UntilAsync(() =>
        {
            if (condition())
            {
                return true;
            }

            pool.Time.Advance(TimeSpan.FromSeconds(1));
            return false;
        });
    }
}
