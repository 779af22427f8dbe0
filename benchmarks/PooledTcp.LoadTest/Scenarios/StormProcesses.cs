using System.Globalization;
using System.Net;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// How long T6 takes, in several processes: in five of one binary the median of nine rounds was 0.88 to 1.23 x the hand-written pool.
/// The target is about a server that comes back: to a process that has dialed for long, and to a client that runs. Beside it the
/// same as a service meets it that starts: it has dialed a few times and not a thousand, most of that code is not compiled for speed
/// yet, and the client is new.
/// </summary>
internal static class StormProcesses
{
    public const string Name = "storm";

    /// <summary>Until the JIT is done: a dial has much code and runs seldom, and after three rounds a third of the time went to compiling it.</summary>
    public const int Warm = 160;

    private const int Cold = 4;

    public static async Task RunAsync(ServerProcess server, Report report, Effort effort, CancellationToken cancellationToken)
    {
        int count = effort.Pick(full: 9, inShort: 7, smoke: 1, check: 2);
        int warmUps = effort.Pick(Warm, Warm, Cold, check: Cold);
        Processes warm = await PlayAsync(count, warmUps, server, report, effort, cancellationToken);
        string cold = "";
        if (warmUps != Cold)
        {
            Processes processes = await PlayAsync(count, Cold, server, report, effort, cancellationToken);
            cold = $" ({Report.Text(processes.Ratio(StormScenario.Pooled, StormScenario.ByHand).Median)} in a new client after {Cold} storms)";
        }

        report.AtMost(
            "T6.time",
            warm.Ratio(StormScenario.Pooled, StormScenario.ByHand),
            1.1,
            $"x {StormScenario.ByHand}",
            $"until all {StormScenario.Callers} are answered, MaxConnecting {StormScenario.Connections}, after {warmUps} storms that warmed either up, in a client that has dialed{cold}; median of {count} processes");
    }

    /// <summary>The child's side: the rounds of this process.</summary>
    /// <param name="server">The echo server.</param>
    /// <param name="serverId">Its process.</param>
    /// <param name="warmUps">Storms before those that count.</param>
    /// <param name="effort">The check's callers have more patience.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<ProcessRounds> MeasureAsync(IPEndPoint server, string serverId, string warmUps, Effort effort, CancellationToken cancellationToken)
    {
        // After a few storms only a few more are still cold.
        int before = int.Parse(warmUps, CultureInfo.InvariantCulture);
        Rounds<string, Storm> rounds = await StormScenario.PlayAsync(
            StormScenario.PooledAndByHand(server, effort, hasDialed: before != Cold).ToDictionary(static contender => contender.Key, static contender => WithoutErrors(contender.Key, contender.Value)),
            before == Cold ? 5 : 21,
            before,
            new Neighbours(int.Parse(serverId, CultureInfo.InvariantCulture)),
            cancellationToken);
        return rounds.Export(static storm => storm.Milliseconds);
    }

    /// <summary>Whoever fails all callers at once would be the fastest.</summary>
    private static Func<Task<Storm>> WithoutErrors(string contender, Func<Task<Storm>> play) => async () =>
    {
        Storm storm = await play();
        return storm.Errors == 0 ? storm : throw new LoadTestException($"{contender} failed {storm.Errors} of {StormScenario.Callers} callers.");
    };

    private static async Task<Processes> PlayAsync(int count, int warmUps, ServerProcess server, Report report, Effort effort, CancellationToken cancellationToken)
    {
        Processes processes = (await FreshProcess.PlayAsync(
            count, report, [Name, $"{server.EndPoint}", server.Id.ToString(CultureInfo.InvariantCulture), warmUps.ToString(CultureInfo.InvariantCulture), $"{effort}"], cancellationToken))[0];
        foreach (string contender in processes.Contenders)
        {
            string after = $"in new processes, after {warmUps} storms";
            report.Add("storm", contender, StormScenario.Callers, "rents", $"x {StormScenario.ByHand}, {after}", processes.Ratio(contender, StormScenario.ByHand));
            report.Add("storm", contender, StormScenario.Callers, "rents", $"ms, {after}", processes.Of(contender));
        }

        return processes;
    }
}
