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
        foreach (int keys in effort.Pick<int[]>([1, 10, 100, 1_000, 10_000], [1, 10_000], [1, 100]))
        {
            KeyedRentContender byHandle = new(keys, byName: false, Math.Max(keys, 1000));
            KeyedRentContender byName = new(keys, byName: true, Math.Max(keys, 1000));
            KeyedRentContender inOrder = new(keys, byName: false, Math.Max(keys, 1000), Walk.AsMade);
            KeyedSemaphoreRoundContender byHand = new(keys, Math.Max(keys, 1000));
            Rounds<Contender, Slice> rounds = await CompareAsync([byHandle, byName, inOrder, byHand], 1, report, effort, cancellationToken);
            Add(report, "grow, keys", "keys", keys, rounds, (byHandle, "PooledTcp by handle"), (byName, "PooledTcp by name"), (inOrder, "PooledTcp by handle, as made"), (byHand, "keyed SemaphoreSlim + stack"));
        }
    }

    private static async Task WithConnectionsAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        // More than there are slots, so that the shared stack is in it.
        const int Callers = 8;
        foreach (int connections in effort.Pick<int[]>([8, 64, 512, 4_096, 10_000], [8, 10_000], [8, 64]))
        {
            PooledRentContender pooled = new(connections, Holding.AcrossYield);
            SemaphoreRentContender byHand = new(connections, Holding.AcrossYield);
            Rounds<Contender, Slice> rounds = await CompareAsync([pooled, byHand], Callers, report, effort, cancellationToken);
            Add(report, "grow, connections", "connections", connections, rounds, (pooled, PooledTcp), (byHand, byHand.Name));
        }
    }

    private static async Task WithWaitersAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        const int Connections = 32;
        foreach (int waiters in effort.Pick<int[]>([0, 32, 96, 224, 992], [0, 992], [0, 32]))
        {
            PooledRentContender pooled = new(Connections, Holding.AcrossYield);
            SemaphoreRentContender byHand = new(Connections, Holding.AcrossYield);
            Rounds<Contender, Slice> rounds = await CompareAsync([pooled, byHand], Connections + waiters, report, effort, cancellationToken);
            Add(report, "grow, waiters", "waiters", waiters, rounds, (pooled, PooledTcp), (byHand, byHand.Name));
        }
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

    private static Task<Rounds<Contender, Slice>> CompareAsync(
        List<Contender> contenders, int callers, Report report, Effort effort, CancellationToken cancellationToken)
    {
        TimeSpan length = TimeSpan.FromMilliseconds(effort.Pick(200, 100, 20));
        return Scenario.CompareAsync(
            contenders,
            effort.Pick(15, 5, 2),
            contender => Slice.MeasureAsync(contender, callers, length),
            new Neighbours(),
            report,
            cancellationToken);
    }

    private static void Add(
        Report report, string measure, string axis, double x, Rounds<Contender, Slice> rounds, params (Contender Contender, string Series)[] contenders)
    {
        foreach ((Contender contender, string series) in contenders)
        {
            report.Add(measure, series, x, axis, "ns", rounds.Of(contender, static s => s.NanosecondsEach));
        }
    }
}
