using System.Globalization;
using System.Net;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// How long T6 takes, in several processes: in five of one binary the median of nine rounds was 0.88 to 1.23 x the hand-written pool,
/// and what is left between processes of 21 rounds (0.97 to 1.16) is the rounds' own spread, so they are many.
/// T6 is about an empty pool, and does not say whether its client is new. What decides is the pool of a client that runs and has its
/// threads, in a process that has dialed for long: nothing is in it that happens once. Beside it one in a process that has dialed a few
/// times, as a service that starts: most of that code is not compiled for speed yet.
/// </summary>
internal static class StormProcesses
{
    public const string Name = "storm";

    /// <summary>
    /// Rounds until the JIT is done: a dial has much code and runs seldom, and after three storms a third of the time went to compiling
    /// it. Until the pool's 120th storm there was something left to compile.
    /// </summary>
    public const int Warm = 120;

    private const int Cold = 2;

    public static async Task RunAsync(ServerProcess server, Report report, Effort effort, CancellationToken cancellationToken)
    {
        int count = effort.Pick(full: 9, inShort: 5, smoke: 1, check: 2);
        int warmUps = effort.Pick(Warm, Warm, Cold, check: Cold);
        Processes warm = await PlayAsync(count, warmUps, server, report, effort, cancellationToken);
        Processes cold = warmUps == Cold ? warm : await PlayAsync(count, Cold, server, report, effort, cancellationToken);
        report.AtMost(
            "T6.time",
            warm.Ratio(StormScenario.Pooled, StormScenario.ByHand),
            1.1,
            $"x {StormScenario.ByHand}",
            $"until all {StormScenario.Callers} are answered, MaxConnecting {StormScenario.Connections}, in a client that has dialed, after {warmUps} rounds that warmed either up ({Report.Text(cold.Ratio(StormScenario.Pooled, StormScenario.ByHand).Median)} after {Cold}); median of {count} processes");
    }

    /// <summary>The child's side: the rounds of this process.</summary>
    /// <param name="server">The echo server.</param>
    /// <param name="serverId">Its process.</param>
    /// <param name="warmUps">Rounds before those that count.</param>
    /// <param name="effort">The check's callers have more patience.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<ProcessRounds> MeasureAsync(IPEndPoint server, string serverId, string warmUps, Effort effort, CancellationToken cancellationToken)
    {
        // After a few rounds only a few more are still cold.
        int before = int.Parse(warmUps, CultureInfo.InvariantCulture);
        Rounds<string, Storm> rounds = await StormScenario.PlayAsync(
            StormScenario.PooledAndByHand(server, effort).ToDictionary(static contender => contender.Key, static contender => WithoutErrors(contender.Key, contender.Value)),
            before == Cold ? 5 : 101,
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
            string after = $"in new processes, after {warmUps} rounds";
            report.Add("storm", contender, StormScenario.Callers, "rents", $"x {StormScenario.ByHand}, {after}", processes.Ratio(contender, StormScenario.ByHand));
            report.Add("storm", contender, StormScenario.Callers, "rents", $"ms, {after}", processes.Of(contender));
        }

        return processes;
    }
}
