using PooledTcp.KernelTests.Outage;
using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Namespaces;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>How cost grows. The measures are named as benchmarks/charts.cs looks for them.</summary>
internal static class GrowScenario
{
    private const string PooledTcp = "PooledTcp";

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        report.Title("How rent cost grows with keys");
        await WithKeysAsync(report, effort, cancellationToken);
        report.Title("How rent cost grows with connections");
        await WithConnectionsAsync(report, effort, cancellationToken);
        report.Title("How rent cost grows with waiters");
        await WithWaitersAsync(report, effort, cancellationToken);
        report.Title("How cost grows with closes a second");
        await WithClosesAsync(report, effort, cancellationToken);
    }

    private static async Task WithKeysAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        List<Point> points = [];
        foreach (int keys in effort.Pick<int[]>([1, 10, 100, 1_000, 10_000], [1, 10_000], [1, 100]))
        {
            int steps = Math.Max(keys, 1000);
            points.Add(new(new KeyedRentContender(keys, byName: false, steps), "PooledTcp by handle", keys, 1));
            points.Add(new(new KeyedRentContender(keys, byName: true, steps), "PooledTcp by name", keys, 1));
            points.Add(new(new KeyedRentContender(keys, byName: false, steps, Walk.AsMade), "PooledTcp by handle, as made", keys, 1));
            points.Add(new(new KeyedSemaphoreRoundContender(keys, steps), "keyed SemaphoreSlim + stack", keys, 1));
        }

        await MeasureAsync("grow, keys", "keys", points, report, effort, cancellationToken);
    }

    private static async Task WithConnectionsAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        // More than there are slots, so that the shared stack is in it.
        const int Callers = 8;
        List<Point> points = [];
        foreach (int connections in effort.Pick<int[]>([8, 64, 512, 4_096, 10_000], [8, 10_000], [8, 64]))
        {
            points.Add(new(new PooledRentContender(connections, Holding.AcrossYield), PooledTcp, connections, Callers));
            points.Add(new(new SemaphoreRentContender(connections, Holding.AcrossYield), SemaphoreRentContender.ContenderName, connections, Callers));
        }

        await MeasureAsync("grow, connections", "connections", points, report, effort, cancellationToken);
    }

    private static async Task WithWaitersAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        const int Connections = 32;
        List<Point> points = [];
        foreach (int waiters in effort.Pick<int[]>([0, 32, 96, 224, 992], [0, 992], [0, 32]))
        {
            points.Add(new(new PooledRentContender(Connections, Holding.AcrossYield), PooledTcp, waiters, Connections + waiters));
            points.Add(new(new SemaphoreRentContender(Connections, Holding.AcrossYield), SemaphoreRentContender.ContenderName, waiters, Connections + waiters));
        }

        await MeasureAsync("grow, waiters", "waiters", points, report, effort, cancellationToken);
    }

    private static async Task WithClosesAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        List<(int Rate, Func<Task<ChurnResult>> Play)> plays = [(500, At500Async), (1_000, At1000Async), (2_000, At2000Async), (4_000, At4000Async)];
        foreach ((int rate, Func<Task<ChurnResult>> play) in plays.Take(effort.Pick(4, 4, 1)))
        {
            ChurnResult churn = await Namespaced.PlayAsync(play, cancellationToken);
            report.Add("grow, closes", PooledTcp, rate, "closes/s", "us at p99", new Sample(churn.P99Microseconds));
            report.Add("grow, closes", PooledTcp, rate, "closes/s", "us of CPU/request", new Sample(churn.Cpu.TotalMicroseconds / churn.Offered));
            report.Add("grow, closes", PooledTcp, rate, "closes/s", "client TIME_WAITs at most", new Sample(churn.MaxClientTimeWaits));
            report.Add("grow, closes", PooledTcp, rate, "closes/s", "errors", new Sample(churn.Failures.Values.Sum()));
        }
    }

    private static Task<ChurnResult> At500Async() => AtAsync(500);

    private static Task<ChurnResult> At1000Async() => AtAsync(1_000);

    private static Task<ChurnResult> At2000Async() => AtAsync(2_000);

    private static Task<ChurnResult> At4000Async() => AtAsync(4_000);

    private static Task<ChurnResult> AtAsync(int perSecond) => Churn.RunAsync(static _ => { }, TimeSpan.FromSeconds(10), perSecond);

    /// <summary>
    /// All points of a chart in the same rounds. One after the other they met different minutes: 8 callers took 120 ns on 8 and on 10,000
    /// connections, and on 64 and 512 in between 400, with either pool.
    /// </summary>
    private static async Task MeasureAsync(
        string measure, string axis, List<Point> points, Report report, Effort effort, CancellationToken cancellationToken)
    {
        TimeSpan length = TimeSpan.FromMilliseconds(effort.Pick(100, 100, 20));
        Dictionary<Contender, int> callers = points.ToDictionary(static point => point.Contender, static point => point.Callers);
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            [.. callers.Keys],
            effort.Pick(25, 5, 2),
            contender => Slice.MeasureAsync(contender, callers[contender], length),
            new Neighbours(),
            report,
            cancellationToken);
        foreach (Point point in points)
        {
            report.Add(measure, point.Series, point.X, axis, "ns", rounds.Of(point.Contender, static s => s.NanosecondsEach));
        }
    }

    private sealed record Point(Contender Contender, string Series, double X, int Callers);
}
