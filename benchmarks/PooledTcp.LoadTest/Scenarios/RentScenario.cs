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

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        report.Title("Rent and return of a warm connection, without I/O (T1, T2)");
        await OneCaller.RunAsync(report, effort, cancellationToken);
        if (report.Asks("T1.contended-4"))
        {
            await Contended.RunAsync(report, effort, cancellationToken);
        }

        await HeldAcrossYield.RunAsync(report, effort, cancellationToken);
        await HeldAcrossYield.CountBytesAsync(report, effort, cancellationToken);
        CountBytesAndClockReads(report);
    }

    /// <summary>What several processes measured of one comparison with DefaultObjectPool.</summary>
    public static void AddAll(Report report, Processes processes, int callers)
    {
        foreach (string contender in processes.Contenders)
        {
            report.Add(Measure, contender, callers, "callers", TimesObjectPool, processes.Ratio(contender, ObjectPoolContender.ContenderName));
            report.Add(Measure, contender, callers, "callers", "ns", processes.Of(contender));
        }
    }

    /// <summary>Of several callers, in a new process.</summary>
    public static async Task<ProcessRounds> CompareAsync(List<Contender> contenders, int callers, Effort effort, CancellationToken cancellationToken)
    {
        // Short and many: single slices of DefaultObjectPool took 24 to 55 ns on one machine within minutes.
        TimeSpan length = TimeSpan.FromMilliseconds(30);
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            contenders,
            effort.Pick(full: 21, inShort: 15, smoke: 3),
            contender => Slice.MeasureAsync(contender, callers, length),
            new Neighbours(),
            new Report(TextWriter.Null, effort),
            cancellationToken);
        return rounds.Export(static slice => slice.NanosecondsEach);
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
