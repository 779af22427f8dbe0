using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>What the two end-to-end scenarios have in common: the table of all contenders at one number of workers.</summary>
internal static class EndToEnd
{
    /// <summary>So short that what disturbs one contender of a round likely disturbs its pair as well: 3-5 % of noise, in half a second 10-15.</summary>
    public static readonly TimeSpan PairedSlice = TimeSpan.FromMilliseconds(120);

    /// <summary>Rate against raw sockets, rate, latency, CPU on both sides and bytes of each.</summary>
    public static async Task<Rounds<Contender, Slice>> CompareAsync(
        string measure,
        IReadOnlyList<(Contender Contender, ServerProcess Server)> contenders,
        Contender raw,
        int workers,
        Report report,
        Effort effort,
        CancellationToken cancellationToken)
    {
        Dictionary<Contender, ServerProcess> servers = contenders.ToDictionary(static c => c.Contender, static c => c.Server);
        TimeSpan length = TimeSpan.FromMilliseconds(effort.Pick(500, 250, 50));
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            [.. servers.Keys],
            effort.Pick(11, 5, 2),
            contender => Slice.MeasureAsync(contender, workers, length, servers[contender].ReadCpu, timed: true),
            new Neighbours(servers.Values.Distinct().Select(static server => server.Id)),
            report,
            cancellationToken);
        foreach (Contender contender in servers.Keys)
        {
            Slice[] all = [.. rounds.All(contender)];
            double requests = all.Sum(static s => s.Requests);
            report.Add(measure, contender.Name, workers, "workers", "x raw sockets", rounds.Ratio(contender, raw, static s => s.Rate));
            report.Add(measure, contender.Name, workers, "workers", "requests/s", rounds.Of(contender, static s => s.Rate));
            report.Add(measure, contender.Name, workers, "workers", "B/request", rounds.Of(contender, static s => s.BytesEach));

            // Over all rounds: the kernel counts a server's time in hundredths of a second.
            report.Add(measure, contender.Name, workers, "workers", "us of client CPU/request", new Sample(all.Sum(static s => s.ClientCpu) * 1e6 / requests));
            report.Add(measure, contender.Name, workers, "workers", "us of server CPU/request", new Sample(all.Sum(static s => s.ServerCpu) * 1e6 / requests));
            foreach (double percentile in (double[])[50, 90, 99, 99.9])
            {
                report.Add(measure, contender.Name, workers, "workers", $"us at p{percentile}", rounds.Of(contender, s => Percentile(s, percentile)));
            }
        }

        return rounds;
    }

    private static double Percentile(Slice slice, double percentile) => slice.Latencies!.GetValueAtPercentile(percentile) / 10.0;
}
