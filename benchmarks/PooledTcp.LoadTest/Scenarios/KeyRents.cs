using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// T8, the rent alone, in several processes: see <see cref="FreshProcess"/>. Here it is less the JIT than where the memory of the keys
/// lies. In a single process 10,000 keys by name were 1.6 to 4.9 x one key, by how often the collector had happened to run before: it
/// moves together what survives, which without it lies between the garbage of 10,000 dials. So it runs first, as it has in a service that
/// has served for a while. (Without: by handle 2.1 to 2.3, by name 4.6 to 9.6; with it 1.24 to 1.29 and 2.2 to 3.0.)
/// </summary>
/// <remarks>
/// The targets are about the walk in the order of the names, in which the client makes its pools. In random order it is the memory that
/// is measured: of 10,000 pools of any kind hardly a line is in a cache that is this machine's alone, and even an array of
/// DefaultObjectPool, one line each, is at the 2 x or beyond. So that walk stands beside it, with the others on the same.
/// </remarks>
internal static class KeyRents
{
    public const string Name = "keys";

    private const string Measure = "keys, rent and return";

    /// <summary>The check's fit into the caches: on a busy machine others decide what is in there (8.1 x by name, with four busy loops on two cores).</summary>
    public static int KeysOf(Effort effort) => effort.Pick(10_000, 10_000, 200, check: 200);

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        int keys = KeysOf(effort);
        int count = effort.Pick(full: 9, inShort: 5, smoke: 1, check: 2);
        Processes processes = (await FreshProcess.PlayAsync(count, report, [Name, $"{effort}"], cancellationToken))[0];
        string one = KeyedRentContender.NameOf(byName: false, 1);
        foreach (string contender in processes.Contenders.Where(contender => contender.Contains($", {keys} keys", StringComparison.Ordinal)))
        {
            report.Add(Measure, contender, keys, "keys", "x its own cost with one key", processes.Ratio(contender, WithOneKey(contender, keys)));
            report.Add(Measure, contender, keys, "keys", "x PooledTcp by handle with one key", processes.Ratio(contender, one));
            report.Add(Measure, contender, keys, "keys", "ns", processes.Of(contender));
        }

        report.AtMost("T8.handle", InOrder(byName: false), 2, "x one key", $"rent and return by handle, {What(byName: false)}");
        report.AtMost("T8.name", InOrder(byName: true), 3, "x one key by name", $"rent and return by name, {What(byName: true)}");

        Sample InOrder(bool byName) => processes.Ratio(KeyedRentContender.NameOf(byName, keys, Walk.AsMade), KeyedRentContender.NameOf(byName, 1));

        string What(bool byName)
        {
            double atRandom = processes.Ratio(KeyedRentContender.NameOf(byName, keys), KeyedRentContender.NameOf(byName, 1)).Median;
            double floor = processes.Ratio(ObjectPoolRoundContender.NameOf(byName, keys), ObjectPoolRoundContender.NameOf(byName, 1)).Median;
            return $"{keys} keys in the order of their names, in which the pools are made; in random order {Report.Text(atRandom)}, and as many "
                + $"DefaultObjectPools {Report.Text(floor)} x one of them; median of {count} processes";
        }
    }

    /// <summary>The rounds of this process. Each contender with the same for a single key: what memory that is in no cache costs, it costs everybody.</summary>
    public static async Task<ProcessRounds> MeasureAsync(Effort effort, CancellationToken cancellationToken)
    {
        int keys = KeysOf(effort);
        List<Contender> contenders = [];
        foreach (bool byName in (bool[])[false, true])
        {
            contenders.AddRange(
            [
                new KeyedRentContender(1, byName, keys),
                new KeyedRentContender(keys, byName, keys, Walk.AsMade),
                new KeyedRentContender(keys, byName, keys),
                new ObjectPoolRoundContender(1, byName, keys),
                new ObjectPoolRoundContender(keys, byName, keys),
                new ObjectPoolRoundContender(keys, byName, keys, Walk.AsMade),
            ]);
        }

        if (effort == Effort.Full)
        {
            contenders.AddRange([new KeyedSemaphoreRoundContender(1, keys), new KeyedSemaphoreRoundContender(keys, keys)]);
        }

        bool collected = false;
        TimeSpan length = TimeSpan.FromMilliseconds(effort.Pick(60, 40, 20));
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            contenders,
            effort.Pick(full: 11, inShort: 5, smoke: 2, check: 5),
            contender =>
            {
                // When all are open, and twice, for what has finalizers.
                if (!collected)
                {
                    collected = true;
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                    GC.Collect();
                }

                return Slice.MeasureAsync(contender, 1, length);
            },
            new Neighbours(),
            new Report(TextWriter.Null, effort),
            cancellationToken);
        return rounds.Export(static slice => slice.NanosecondsEach);
    }

    private static string WithOneKey(string contender, int keys) =>
        contender.Replace($", {keys} keys", ", 1 keys", StringComparison.Ordinal).Replace(KeyedRentContender.Suffix(Walk.AsMade), "", StringComparison.Ordinal);
}
