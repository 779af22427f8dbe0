using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// T1 and T2: the warm rent and return by itself. Through connections without sockets, so the system call of the rent check is
/// not in it; everything else that the full pool does is.
/// </summary>
internal static class RentScenario
{
    public const string Measure = "rent and return";
    public const string TimesObjectPool = $"x {ObjectPoolContender.ContenderName}";

    private const string TimesSemaphore = "x SemaphoreSlim + stack";

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        report.Title("Rent and return of a warm connection, without I/O (T1, T2)");
        await OneCaller.RunAsync(report, effort, cancellationToken);
        foreach (int callers in effort.Pick<int[]>([2, 4, 8, 64], [4, 8, 64], [4]).Where(callers => report.Asks($"T1.contended-{callers}")))
        {
            await AsManyConnectionsAsync(callers, report, effort, cancellationToken);
        }

        await HeldAcrossYieldAsync(64, 32, report, effort, cancellationToken);
        if (report.Asks("T2.all"))
        {
            await HeldAcrossYieldAsync(64, 64, report, effort, cancellationToken);
        }

        CountBytesAndClockReads(report);
    }

    private static async Task AsManyConnectionsAsync(int callers, Report report, Effort effort, CancellationToken cancellationToken)
    {
        ObjectPoolContender floor = new(callers, Holding.Briefly);
        PooledRentContender pooled = new(callers, Holding.Briefly);
        List<Contender> contenders = [floor, pooled, new SemaphoreRentContender(callers, Holding.Briefly)];
        if (effort == Effort.Full)
        {
            contenders.AddRange([new ChannelRentContender(callers, Holding.Briefly), new DotNettyRentContender(callers, Holding.Briefly)]);
        }

        Rounds<Contender, Slice> rounds = await CompareAsync(contenders, callers, report, effort, cancellationToken);
        AddAll(report, rounds, contenders, floor, callers, TimesObjectPool);
        if (callers >= 4)
        {
            report.AtMost($"T1.contended-{callers}", Ratio(rounds, pooled, floor), 0.6, TimesObjectPool, $"{callers} callers on {callers} connections");
        }
    }

    private static async Task HeldAcrossYieldAsync(int callers, int connections, Report report, Effort effort, CancellationToken cancellationToken)
    {
        SemaphoreRentContender byHand = new(connections, Holding.AcrossYield);
        PooledRentContender pooled = new(connections, Holding.AcrossYield);
        List<Contender> contenders = [byHand, pooled, new ObjectPoolContender(connections, Holding.AcrossYield)];
        if (effort == Effort.Full)
        {
            contenders.AddRange([new ChannelRentContender(connections, Holding.AcrossYield), new DotNettyRentContender(connections, Holding.AcrossYield)]);
        }

        Rounds<Contender, Slice> rounds = await CompareAsync(contenders, callers, report, effort, cancellationToken);
        foreach (Contender contender in contenders)
        {
            report.Add($"{Measure}, {callers} callers, held across a yield", contender.Name, connections, "connections", TimesSemaphore, Ratio(rounds, contender, byHand));
            report.Add($"{Measure}, {callers} callers, held across a yield", contender.Name, connections, "connections", "B", rounds.Of(contender, static s => s.BytesEach));
        }

        if (connections < callers)
        {
            report.AtMost("T2.half", Ratio(rounds, pooled, byHand), 1.0, TimesSemaphore, $"{callers} callers over {connections} connections, held across a yield");
            report.AtMost("T2.bytes", rounds.Of(pooled, static s => s.BytesEach), 2, "B", "the same: allocated by each, the harness included");
        }
        else
        {
            report.AtMost("T2.all", Ratio(rounds, pooled, byHand), 0.85, TimesSemaphore, $"{callers} callers over {connections} connections, held across a yield");
        }
    }

    /// <summary>Exact, since counted on the very thread: neither knows noise.</summary>
    private static void CountBytesAndClockReads(Report report)
    {
        const int Rents = 200_000;
        ReadCounter time = new();
        using PooledTcpClient client = NullClient.Create(["cache"], static _ => { }, time: time);
        TcpPool pool = client.GetPool("cache");
        pool.WarmUpAsync(1).GetAwaiter().GetResult();
        long bytes = 0;
        long reads = 0;
        Thread caller = new(() =>
        {
            RentMany(pool, Rents);
            long readsBefore = time.OnThisThread;
            long before = GC.GetAllocatedBytesForCurrentThread();
            RentMany(pool, Rents);
            bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            reads = time.OnThisThread - readsBefore;
        });
        caller.Start();
        caller.Join();
        report.NeverAbove("T1.bytes", new Sample(bytes), 0, "B", $"allocated by {Rents} rents and returns together");
        report.NeverAbove("T1.clock", new Sample(reads), 0, "reads", $"of the clock, by {Rents} rents and returns together");
    }

    private static void RentMany(TcpPool pool, int rents)
    {
        for (int i = 0; i < rents; i++)
        {
            using TcpLease lease = pool.RentAsync().GetAwaiter().GetResult();
            lease.Complete();
        }
    }

    private static Task<Rounds<Contender, Slice>> CompareAsync(
        List<Contender> contenders, int callers, Report report, Effort effort, CancellationToken cancellationToken)
    {
        TimeSpan length = TimeSpan.FromMilliseconds(effort.Pick(250, 150, 20));
        return Scenario.CompareAsync(
            contenders,
            effort.Pick(21, 11, 3, check: 5),
            contender => Slice.MeasureAsync(contender, callers, length),
            new Neighbours(),
            report,
            cancellationToken);
    }

    private static void AddAll(Report report, Rounds<Contender, Slice> rounds, List<Contender> contenders, Contender floor, int callers, string unit)
    {
        foreach (Contender contender in contenders)
        {
            report.Add(Measure, contender.Name, callers, "callers", unit, Ratio(rounds, contender, floor));
            report.Add(Measure, contender.Name, callers, "callers", "ns", rounds.Of(contender, static s => s.NanosecondsEach));
        }
    }

    private static Sample Ratio(Rounds<Contender, Slice> rounds, Contender contender, Contender to) =>
        rounds.Ratio(contender, to, static s => s.NanosecondsEach);

    /// <summary>The system's clock, and how often each thread read it.</summary>
    private sealed class ReadCounter : TimeProvider
    {
        [ThreadStatic]
        private static long _reads;

#pragma warning disable CA1822 // Of the thread, but asked of this clock
        public long OnThisThread => _reads;
#pragma warning restore CA1822

        public override long GetTimestamp()
        {
            _reads++;
            return base.GetTimestamp();
        }

        public override DateTimeOffset GetUtcNow()
        {
            _reads++;
            return base.GetUtcNow();
        }
    }
}
