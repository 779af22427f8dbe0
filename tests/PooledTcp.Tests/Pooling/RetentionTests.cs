using PooledTcp.Configuration;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Retention: about what the last two periods used stays open, the rest closes bit by bit.</summary>
public sealed class RetentionTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task What_a_burst_left_closes_in_portions_before_IdleTimeout_would_close_it_at_once()
    {
        await using PoolHarness pool = Retaining(max: 100);
        await pool.FillAsync(100);
        int mostAtOnce = 0;
        int portions = 0;
        int secondsToTheFirst = 0;
        for (int second = 1; second <= 89; second++)
        {
            // Two at a time are needed all along.
            await UseAsync(pool, 2);
            int before = pool.Now.Idle;
            pool.Pass(Second);
            int closed = before - pool.Now.Idle;
            mostAtOnce = Math.Max(mostAtOnce, closed);
            portions += closed > 0 ? 1 : 0;
            secondsToTheFirst = secondsToTheFirst == 0 && closed > 0 ? second : secondsToTheFirst;
        }

        pool.AssertCounts(idle: 2, used: 0);
        Assert.Equal(98, pool.Now.ClosedByReason["over_capacity"]);
        Assert.False(pool.Now.ClosedByReason.ContainsKey("idle_timeout"));

        // A period of 20 s has four sweeps of 4.5 s.
        Assert.Equal(25, mostAtOnce);
        Assert.Equal(4, portions);

        // Two whole periods had to pass without the burst.
        Assert.InRange(secondsToTheFirst, 41, 70);
    }

    [Fact]
    public async Task What_the_last_two_periods_used_stays()
    {
        await using PoolHarness pool = Retaining(max: 30);
        await pool.FillAsync(30);

        // Ten of them in a burst of no duration at all, every 40 s: looking now and then would never see one.
        for (int second = 0; second < 400; second++)
        {
            if (second % 40 == 0)
            {
                await UseAsync(pool, 10);
            }

            pool.Pass(Second);
        }

        pool.AssertCounts(idle: 10);
        Assert.Equal(30, pool.Connector.Dials);
    }

    [Fact]
    public async Task The_longest_idle_go_first()
    {
        await using PoolHarness pool = Retaining(max: 10);
        await pool.FillAsync(10);
        pool.Pass(TimeSpan.FromSeconds(30));
        long[] warm = await UseAsync(pool, 4);
        for (int second = 0; second < 120; second++)
        {
            await UseAsync(pool, 4);
            pool.Pass(Second);
        }

        pool.AssertCounts(idle: 4);
        Assert.Equal(warm.Order(), (await UseAsync(pool, 4)).Order());
    }

    [Fact]
    public async Task Leases_that_are_out_count_for_as_long_as_they_are()
    {
        await using PoolHarness pool = Retaining(max: 10, idle: Timeout.InfiniteTimeSpan);
        TcpLease[] leases = [.. await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => pool.RentAsync()))];
        pool.Pass(TimeSpan.FromMinutes(5));
        Array.ForEach(leases, PoolHarness.Return);
        pool.Pass(TimeSpan.FromSeconds(30));
        pool.AssertCounts(idle: 6, used: 0);
        pool.Pass(TimeSpan.FromSeconds(60));
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task MinIdleConnections_come_on_top_and_are_not_dialed_again_and_again()
    {
        await using PoolHarness pool = Retaining(max: 20, minIdle: 3, idle: Timeout.InfiniteTimeSpan);
        await pool.FillAsync(20);
        for (int second = 0; second < 300; second++)
        {
            await UseAsync(pool, 5);
            pool.Pass(Second);
        }

        // Five in use at times, and three spare ones behind them even then.
        pool.AssertCounts(idle: 8, connecting: 0);
        Assert.Equal(20, pool.Connector.Dials);
    }

    [Fact]
    public async Task The_last_one_is_left_to_IdleTimeout()
    {
        await using PoolHarness pool = Retaining(max: 10);
        await pool.FillAsync(5);
        pool.Pass(TimeSpan.FromSeconds(89));
        pool.AssertCounts(idle: 1);
        pool.Pass(TimeSpan.FromSeconds(6));
        pool.AssertCounts(idle: 0);
        Assert.Equal(1, pool.Now.ClosedByReason["idle_timeout"]);
    }

    [Fact]
    public async Task What_was_warmed_up_stays_until_IdleTimeout()
    {
        await using PoolHarness pool = Retaining(max: 50);
        for (int second = 0; second < 120; second++)
        {
            await UseAsync(pool, 1);
            pool.Pass(Second);
        }

        await pool.Pool.WarmUpAsync(40, TestContext.Current.CancellationToken).WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        await pool.UntilAsync(static now => now.Idle == 40);
        for (int second = 0; second < 85; second++)
        {
            await UseAsync(pool, 1);
            pool.Pass(Second);
            Assert.Equal(40, pool.Now.Idle);
        }
    }

    [Fact]
    public async Task A_warm_up_keeps_the_cold_ones_it_counted_on()
    {
        // Thirty are open and cold already, so that no connection is dialed; somebody asked for thirty all the same.
        await using PoolHarness pool = Retaining(max: 50, idle: Timeout.InfiniteTimeSpan);
        await pool.FillAsync(30);
        pool.Pass(TimeSpan.FromSeconds(35));
        await pool.Pool.WarmUpAsync(30, TestContext.Current.CancellationToken);
        pool.Pass(TimeSpan.FromSeconds(40));
        pool.AssertCounts(idle: 30);
    }

    [Fact]
    public async Task Unused_ones_go_at_last_where_IdleTimeout_does_not_end()
    {
        await using PoolHarness pool = Retaining(max: 10, idle: Timeout.InfiniteTimeSpan);
        await pool.Pool.WarmUpAsync(8, TestContext.Current.CancellationToken).WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        await pool.UntilAsync(static now => now.Idle == 8);
        pool.Pass(TimeSpan.FromSeconds(85));
        pool.AssertCounts(idle: 8);
        pool.Pass(TimeSpan.FromSeconds(60));
        pool.AssertCounts(idle: 1);
        Assert.Equal(7, pool.Now.ClosedByReason["over_capacity"]);
    }

    /// <summary>The pool does not sleep through the moment at which the unused ones stop being spared, if this period closes some.</summary>
    [Fact]
    public async Task Unused_ones_go_within_a_period_that_closes_others()
    {
        PoolSettings settings = Settings(max: 10, idle: Timeout.InfiniteTimeSpan) with { RetentionPeriod = TimeSpan.FromMinutes(5) };
        await using PoolHarness pool = PoolHarness.Automatic(settings);
        await pool.FillAsync(5);
        while (pool.Now.Idle == 5)
        {
            pool.Pass(Second);
        }

        pool.Pass(TimeSpan.FromSeconds(30));
        pool.AssertCounts(idle: 1);
        pool.Core.Apply(settings with { MinIdleConnections = 4 });
        pool.Maintain();
        await pool.UntilAsync(static now => now.Idle == 4);
        pool.Core.Apply(settings);
        pool.Pass(TimeSpan.FromSeconds(85));
        pool.AssertCounts(idle: 4);
        pool.Pass(TimeSpan.FromSeconds(30));
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task Infinite_leaves_them_all_to_IdleTimeout()
    {
        await using PoolHarness pool = PoolHarness.Automatic(Settings(max: 10) with { RetentionPeriod = Timeout.InfiniteTimeSpan });
        await pool.FillAsync(10);
        pool.Pass(TimeSpan.FromSeconds(85));
        pool.AssertCounts(idle: 10);
    }

    [Fact]
    public async Task A_paused_pool_keeps_what_it_will_need_again()
    {
        await using PoolHarness pool = Retaining(max: 10, idle: Timeout.InfiniteTimeSpan);
        await pool.FillAsync(10);
        pool.Pool.Pause();
        pool.Pass(TimeSpan.FromMinutes(10));
        pool.Pool.Resume();
        pool.Pass(2 * Period);
        pool.AssertCounts(idle: 10);
    }

    [Fact]
    public async Task A_look_that_comes_late_knows_nothing_of_the_time_before_it()
    {
        // The process was suspended, or the pool at rest: no use was seen because nobody looked.
        await using PoolHarness pool = Retaining(max: 10, idle: Timeout.InfiniteTimeSpan);
        await pool.FillAsync(10);
        pool.Pass(2 * Second);
        pool.Time.Advance(TimeSpan.FromMinutes(1));
        pool.Maintain();
        pool.Time.Advance(TimeSpan.FromMinutes(1));
        pool.Maintain();
        pool.AssertCounts(idle: 10);
    }

    private static PoolHarness Retaining(int max, int minIdle = 0, TimeSpan? idle = null) =>
        PoolHarness.Automatic(Settings(max, minIdle, idle));

    private static PoolSettings Settings(int max, int minIdle = 0, TimeSpan? idle = null) =>
        PoolHarness.Settings(max, minIdle: minIdle, idle: idle) with { RetentionPeriod = Period };

    private static async Task<long[]> UseAsync(PoolHarness pool, int count)
    {
        TcpLease[] leases = new TcpLease[count];
        for (int i = 0; i < count; i++)
        {
            leases[i] = await pool.RentAsync();
        }

        long[] ids = [.. leases.Select(static lease => lease.ConnectionId)];
        Array.ForEach(leases, PoolHarness.Return);
        return ids;
    }
}
