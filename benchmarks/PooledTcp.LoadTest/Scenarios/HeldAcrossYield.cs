using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// T2: callers that hold the connection across a yield, on half as many connections and on as many. In several processes, see
/// <see cref="FreshProcess"/>: T2.all was 0.71 to 0.90, by what had run before in the process.
/// </summary>
internal static class HeldAcrossYield
{
    public const string Name = "held";

    private const string Half = $"{RentScenario.Measure}, half as many connections, held across a yield";
    private const string TimesSemaphore = $"x {SemaphoreRentContender.ContenderName}";

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        int count = effort.Pick(full: 9, inShort: 9, smoke: 1, check: 2);
        string pooled = PooledRentContender.NameOf(RentStyle.Awaited);
        string byHand = SemaphoreRentContender.ContenderName;
        Processes[] comparisons = await FreshProcess.PlayAsync(count, report, [Name, $"{effort}"], cancellationToken);
        foreach (((int callers, int connections), Processes processes) in CasesOf(effort).Zip(comparisons))
        {
            foreach (string contender in processes.Contenders)
            {
                report.Add($"{RentScenario.Measure}, {callers} callers, held across a yield", contender, connections, "connections", TimesSemaphore, processes.Ratio(contender, byHand));
                if (connections == callers / 2)
                {
                    report.Add(Half, contender, callers, "callers", TimesSemaphore, processes.Ratio(contender, byHand));
                }
            }

            string what = $"{callers} callers over {connections} connections, held across a yield; median of {count} processes";
            switch (callers, connections)
            {
                case (64, 32):
                    report.AtMost("T2.half", processes.Ratio(pooled, byHand), 1.0, TimesSemaphore, what);
                    break;
                case (64, 64):
                    report.AtMost("T2.all", processes.Ratio(pooled, byHand), 0.85, TimesSemaphore, what);
                    break;
            }
        }
    }

    /// <summary>The rounds of this process, for one case after the other.</summary>
    public static async Task<ProcessRounds[]> MeasureAsync(Effort effort, CancellationToken cancellationToken)
    {
        List<ProcessRounds> comparisons = [];
        foreach ((int callers, int connections) in CasesOf(effort))
        {
            comparisons.Add(await RentScenario.CompareAsync(ContendersOf(connections, effort), callers, effort, cancellationToken));
        }

        return [.. comparisons];
    }

    /// <summary>Bytes are counted and not timed, so one process is enough, and few rounds.</summary>
    public static async Task CountBytesAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        const int Callers = 64;
        const int Connections = 32;
        List<Contender> contenders = ContendersOf(Connections, effort);
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            contenders,
            effort.Pick(full: 9, inShort: 5, smoke: 2),
            static contender => Slice.MeasureAsync(contender, Callers, TimeSpan.FromMilliseconds(100)),
            new Neighbours(),
            report,
            cancellationToken);
        foreach (Contender contender in contenders)
        {
            report.Add($"{RentScenario.Measure}, {Callers} callers, held across a yield", contender.Name, Connections, "connections", "B", rounds.Of(contender, static s => s.BytesEach));
        }

        Contender pooled = contenders.Single(static contender => contender is PooledRentContender);
        report.AtMost("T2.bytes", rounds.Of(pooled, static s => s.BytesEach), 2, "B", $"allocated by each, the harness included: {Callers} callers over {Connections} connections, held across a yield");
    }

    private static List<Contender> ContendersOf(int connections, Effort effort)
    {
        List<Contender> contenders = [new SemaphoreRentContender(connections, Holding.AcrossYield), new PooledRentContender(connections, Holding.AcrossYield)];
        if (effort == Effort.Full)
        {
            contenders.AddRange(
            [
                new ObjectPoolContender(Holding.AcrossYield, connections),
                new ChannelRentContender(connections, Holding.AcrossYield),
                new DotNettyRentContender(connections, Holding.AcrossYield),
            ]);
        }

        return contenders;
    }

    /// <summary>The targets' first: they have met the same before in a full run and in the gate.</summary>
    private static (int Callers, int Connections)[] CasesOf(Effort effort) =>
        effort.Pick<(int, int)[]>([(64, 32), (64, 64), (2, 1), (8, 4)], [(64, 32), (64, 64)], [(64, 32), (64, 64)], check: [(64, 32)]);
}
