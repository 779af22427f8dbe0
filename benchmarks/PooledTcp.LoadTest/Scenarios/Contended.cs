using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>T1 with several callers on as many connections, in several processes: see <see cref="FreshProcess"/>.</summary>
internal static class Contended
{
    public const string Name = "contended";

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        int count = effort.Pick(full: 5, inShort: 5, smoke: 1);
        Processes[] comparisons = await FreshProcess.PlayAsync(count, report, [Name, $"{effort}"], cancellationToken);
        foreach ((int callers, Processes processes) in CallersOf(effort).Zip(comparisons))
        {
            RentScenario.AddAll(report, processes, callers);
            if (callers >= 4)
            {
                report.AtMost(
                    $"T1.contended-{callers}",
                    processes.Ratio(PooledRentContender.NameOf(RentStyle.Awaited), ObjectPoolContender.ContenderName),
                    0.6,
                    RentScenario.TimesObjectPool,
                    $"{callers} callers on {callers} connections, {Environment.ProcessorCount} at the same moment; median of {count} processes");
            }
        }
    }

    /// <summary>The rounds of this process, for one number of callers after the other.</summary>
    public static async Task<ProcessRounds[]> MeasureAsync(Effort effort, CancellationToken cancellationToken)
    {
        List<ProcessRounds> comparisons = [];
        foreach (int callers in CallersOf(effort))
        {
            List<Contender> contenders = [new ObjectPoolContender(Holding.Briefly, callers), new PooledRentContender(callers, Holding.Briefly)];
            if (effort == Effort.Full)
            {
                contenders.AddRange(
                [
                    new SemaphoreRentContender(callers, Holding.Briefly),
                    new ChannelRentContender(callers, Holding.Briefly),
                    new DotNettyRentContender(callers, Holding.Briefly),
                ]);
            }

            comparisons.Add(await RentScenario.CompareAsync(contenders, callers, effort, cancellationToken));
        }

        return [.. comparisons];
    }

    /// <summary>Two at the end: the others have met the same before in a full run and in the gate.</summary>
    private static int[] CallersOf(Effort effort) => effort.Pick<int[]>([4, 8, 64, 2], [4, 8, 64], [4]);
}
