using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>T1 with one caller. A few nanoseconds decide it, so it is measured in several processes: see <see cref="FreshProcess"/>.</summary>
internal static class OneCaller
{
    public const string Name = "one-caller";

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        int count = effort.Pick(full: 11, inShort: 5, smoke: 1, check: 2);
        Processes processes = (await FreshProcess.PlayAsync(count, report, [Name, $"{effort}"], cancellationToken))[0];
        string floor = ObjectPoolContender.ContenderName;
        RentScenario.AddAll(report, processes, 1);
        string synchronous = PooledRentContender.NameOf(RentStyle.Synchronous);
        string awaited = PooledRentContender.NameOf(RentStyle.Awaited);
        string byName = PooledRentContender.NameOf(RentStyle.AwaitedByName);
        string keyed = KeyedSemaphoreRentContender.ContenderName;
        string over = $"median of {count} processes";
        report.AtMost("T1.synchronous", processes.Ratio(synchronous, floor), 1.5, RentScenario.TimesObjectPool, $"one caller, result read without an await, with the branch for a rent that waits in a method of its own; {over}");
        report.AtMost("T1.awaited", processes.Ratio(awaited, floor), 2.25, RentScenario.TimesObjectPool, $"one caller, an async method for each rent; {over}");
        report.AtMost("T1.keyed", processes.Ratio(awaited, keyed), 0.5, $"x {keyed}", $"one caller by handle, against a dictionary of hand-written pools; {over}");
        report.AtMost("T1.keyed-by-name", processes.Ratio(byName, keyed), 0.5, $"x {keyed}", $"one caller by name, as the other's; {over}");
    }

    /// <summary>
    /// The rounds of this process. One connection is warm, and limits are what they are by default: a pool of one connection is a special
    /// case, of which not everything can happen to it.
    /// </summary>
    public static async Task<ProcessRounds> MeasureAsync(Effort effort, CancellationToken cancellationToken)
    {
        List<Contender> contenders =
        [
            new ObjectPoolContender(Holding.Briefly),
            new PooledRentContender(1, Holding.Briefly, RentStyle.Synchronous, limited: false),
            new PooledRentContender(1, Holding.Briefly, limited: false),
            new KeyedSemaphoreRentContender(PooledRentContender.DefaultLimit),
            new PooledRentContender(1, Holding.Briefly, RentStyle.Try, limited: false),
            new PooledRentContender(1, Holding.Briefly, RentStyle.AwaitedByName, limited: false),
        ];
        if (effort == Effort.Full)
        {
            contenders.AddRange(
            [
                new PooledRentContender(1, Holding.Briefly, RentStyle.AwaitedByEndPoint, limited: false),
                new SemaphoreRentContender(PooledRentContender.DefaultLimit, Holding.Briefly),
                new ChannelRentContender(1, Holding.Briefly),
                new DotNettyRentContender(1, Holding.Briefly),
            ]);
        }

        TimeSpan length = TimeSpan.FromMilliseconds(effort.Pick(120, 60, 20));
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            contenders,
            effort.Pick(full: 11, inShort: 7, smoke: 3, check: 5),
            contender => Slice.MeasureAsync(contender, 1, length),
            new Neighbours(),
            new Report(TextWriter.Null, effort),
            cancellationToken);
        return rounds.Export(static slice => slice.NanosecondsEach);
    }
}
