using Microsoft.Extensions.Time.Testing;
using PooledTcp.AspNetCore.Stats;
using PooledTcp.StatsPageTests.Support;
using Xunit;

namespace PooledTcp.StatsPageTests;

public sealed class CollectorTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly StatsCollector _collector;
    private TcpPoolSnapshot[] _pools = [Snapshots.Pool()];
    private int _walks;

    public CollectorTests() => _collector = new StatsCollector(
        () =>
        {
            _walks++;
            return (_pools, null);
        },
        _time);

    [Fact]
    public void Ten_readers_within_a_second_cost_one_walk()
    {
        for (int i = 0; i < 10; i++)
        {
            _collector.Collect();
            _time.Advance(TimeSpan.FromMilliseconds(99));
        }

        Assert.Equal(1, _walks);
        _time.Advance(TimeSpan.FromMilliseconds(10));
        _collector.Collect();
        Assert.Equal(2, _walks);
    }

    [Fact]
    public void Rates_are_of_what_came_between_two_readings()
    {
        _pools = [Snapshots.Pool().After(rents: 1000, waits: 1000, waited: 1000)];
        StatsSample first = _collector.Collect();
        Assert.Null(first.Interval);
        Assert.Null(first.Pools[0].Rates);

        _pools = [_pools[0].After(rents: 100, waits: 25, waited: 0.5, created: 10, dialed: 0.03) with { DialsFailed = 4, RentsRefused = 8, RentTimeouts = 0, Closed = 6 }];
        RateFigures rates = After(2).Pools[0].Rates!;
        Assert.Equal(new RateFigures(50, 4, 12.5, 5, 2, 3, 0, 0.02, 0.003, 0.75), rates);
    }

    [Fact]
    public void Rates_are_over_four_to_eight_seconds_while_somebody_looks()
    {
        var intervals = new List<double?>();
        for (int i = 0; i < 20; i++)
        {
            intervals.Add(After(1).Interval);
        }

        Assert.Equal([null, 1, 2, 3, 4, 5, 6, 7, 8, 5], intervals[..10]);
        Assert.All(intervals[10..], static interval => Assert.InRange(interval!.Value, 5, 8));
    }

    [Fact]
    public void After_a_minute_without_readers_rates_begin_anew()
    {
        After(1);
        Assert.Equal(60, After(60).Interval);
        Assert.Null(After(61).Interval);
        Assert.Equal(1, After(1).Interval);
    }

    [Fact]
    public void A_pool_that_came_since_and_one_that_was_replaced_count_from_zero()
    {
        _pools = [Snapshots.Pool().After(rents: 500)];
        After(1);
        _pools = [Snapshots.Pool().After(rents: 20), Snapshots.Pool("new").After(rents: 30)];
        StatsSample sample = After(2);
        Assert.Equal(10, sample.Pools[0].Rates!.Rents);
        Assert.Equal(15, sample.Pools[1].Rates!.Rents);
        Assert.Equal(25, sample.Totals.Rates!.Rents);
    }

    /// <summary>Only one counter tells that it is another pool, whichever; nothing is ever negative.</summary>
    [Fact]
    public void A_pool_that_was_replaced_shows_in_any_counter()
    {
        TcpPoolSnapshot many = Many(10);
        Func<TcpPoolSnapshot, TcpPoolSnapshot>[] lower =
        [
            static p => p with { Rents = 1 },
            static p => p with { RentsWaited = 1 },
            static p => p with { RentsRefused = 1 },
            static p => p with { RentTimeouts = 1 },
            static p => p with { WaitTime = new(20, TimeSpan.FromSeconds(1), TimeSpan.Zero) },
            static p => p with { WaitTime = new(1, TimeSpan.FromSeconds(20), TimeSpan.Zero) },
            static p => p with { Created = 1 },
            static p => p with { CreateTime = new(20, TimeSpan.FromSeconds(1), TimeSpan.Zero) },
            static p => p with { DialsFailed = 1 },
            static p => p with { Closed = 1 },
        ];
        foreach (Func<TcpPoolSnapshot, TcpPoolSnapshot> change in lower)
        {
            Counters now = Counters.Of(change(Many(20)));
            Assert.Equal(now, now.Since(Counters.Of(many)));
        }

        Assert.Equal(Counters.Of(Many(10)), Counters.Of(Many(20)).Since(Counters.Of(many)));

        static TcpPoolSnapshot Many(int n) => Snapshots.Pool().After(n, n, n, n, n) with { RentsRefused = n, RentTimeouts = n, DialsFailed = n, Closed = n };
    }

    [Fact]
    public void A_monitor_that_asks_seldom_does_not_see_old_trouble_for_ever()
    {
        _pools = [Snapshots.Pool().After(rents: 100) with { RentTimeouts = 1, RentsRefused = 1, DialsFailed = 1 }];
        for (int i = 0; i < 3; i++)
        {
            PoolFigures pool = After(90).Pools[0];
            Assert.Equal(("ok", 0, 1L, 1L), (pool.Severity, pool.Trouble.Count, pool.Timeouts, pool.RentsRefused));
            Assert.Contains("since the pool was made", pool.Explanation, StringComparison.Ordinal);
        }

        // Seen while somebody looks, and gone when it is over.
        _pools = [_pools[0] with { RentTimeouts = 2 }];
        Assert.Equal(["timeouts"], After(50).Pools[0].Trouble);
        Assert.Empty(After(90).Pools[0].Trouble);
    }

    [Fact]
    public void Totals_are_sums_over_all_pools()
    {
        TcpPoolSnapshot one = Snapshots.Pool("one").After(3, 1, 0.5, 2, 0.1) with
        {
            Idle = 1,
            Used = 2,
            Connecting = 3,
            Closing = 4,
            Waiting = 5,
            Retries = 6,
            RentTimeouts = 7,
            RentsRefused = 9,
            DialsFailed = 8,
            Closed = 10,
            ClosedByPeer = 4,
            ClosedByReason = new Dictionary<string, long> { ["idle_timeout"] = 10 },
            MaxWaiters = int.MaxValue,
            PortsUsed = 30,
            PortBudget = 100,
            PortPressure = 0.3,
        };
        _pools = [one, one with { Name = "two", ClosedByReason = new Dictionary<string, long> { ["idle_timeout"] = 1, ["faulted"] = 9 }, PortPressure = 0.6 }];
        TotalFigures totals = _collector.Collect().Totals;
        Assert.Equal(new ConnectionFigures(2, 4, 6, 8, 20, null, 0, 8), totals.Connection);
        Assert.Equal((10, int.MaxValue), (totals.PendingRequests, totals.PendingRequestsMax));
        Assert.Equal((6, 14, 12, 4, 16), (totals.Rents, totals.Timeouts, totals.Retries, totals.Created, totals.CreateFailures));
        Assert.Equal((2, 18), (totals.RentsWaited, totals.RentsRefused));
        Assert.Equal(new TimingFigures(2, 1, 0.5, 0.5), totals.WaitTime);
        Assert.Equal(new TimingFigures(4, 0.2, 0.05, 0.1), totals.CreateTime);
        Assert.Equal(0.6, totals.PortPressureMax);
        Assert.Equal(20, totals.Closed.Count);
        Assert.Equal(new Dictionary<string, long> { ["idle_timeout"] = 11, ["faulted"] = 9 }, totals.Closed.ByReason);
        Assert.Equal(new Dictionary<string, long> { ["local"] = 12, ["peer"] = 8 }, totals.Closed.ByInitiator);
    }

    [Fact]
    public void Pools_in_trouble_come_first_then_those_with_a_name_then_the_busiest()
    {
        _pools =
        [
            Snapshots.Pool("10.0.0.1:1") with { IsAdHoc = true },
            Snapshots.Pool("10.0.0.2:1") with { IsAdHoc = true, Used = 3 },
            Snapshots.Pool("b"),
            Snapshots.Pool("a"),
            Snapshots.Pool("10.0.0.3:1") with { IsAdHoc = true, Waiting = 1 },
            Snapshots.Pool("strained") with { Waiting = 1 },
            Snapshots.Pool("failing") with { BreakerState = BreakerState.Open },
        ];
        Assert.Equal(
            ["failing", "strained", "10.0.0.3:1", "a", "b", "10.0.0.2:1", "10.0.0.1:1"],
            _collector.Collect().Pools.Select(static pool => pool.Name));
    }

    [Fact]
    public void A_report_lists_what_was_asked_for_and_totals_all()
    {
        _pools = [.. Enumerable.Range(0, 10_000).Select(static i => Snapshots.Pool($"10.0.{i / 256}.{i % 256}:6379") with { IsAdHoc = true, Used = 1 })];
        StatsSample sample = _collector.Collect();
        StatsReport report = sample.ToReport(new StatsQuery(StatsQuery.DefaultLimit, 0, ""), null);
        Assert.Equal((200, 10_000, 10_000), (report.Pools.Count, report.Matching, report.Totals.Connection.Used));

        StatsReport page = sample.ToReport(new StatsQuery(50, 9_990, ""), null);
        Assert.Equal((10, sample.Pools[9_999].Name), (page.Pools.Count, page.Pools[^1].Name));

        StatsReport found = sample.ToReport(new StatsQuery(200, 0, "10.0.7.9:"), null);
        Assert.Equal(("10.0.7.9:6379", 1, 10_000), (Assert.Single(found.Pools).Name, found.Matching, found.Totals.Pools));
    }

    private StatsSample After(double seconds)
    {
        _time.Advance(TimeSpan.FromSeconds(seconds));
        return _collector.Collect();
    }
}
