using System.Globalization;
using System.Net;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// T6 as a service meets it: it has dialed a few times and not a thousand, so most of that code is not compiled for speed yet. Each process
/// has only a few such rounds, hence several processes.
/// </summary>
internal static class ColdStorm
{
    public const string Name = "cold-storm";

    private const int WarmUps = 4;
    private const int Rounds = 5;

    public static async Task RunAsync(ServerProcess server, Report report, Effort effort, CancellationToken cancellationToken)
    {
        string[] arguments = [Name, $"{server.EndPoint}", server.Id.ToString(CultureInfo.InvariantCulture)];
        Processes processes = await FreshProcess.PlayAsync(effort.Pick(9, 5, 1), report, arguments, cancellationToken);
        foreach (string contender in processes.Contenders)
        {
            string after = $"in a new process, after {WarmUps} storms";
            report.Add("storm", contender, StormScenario.Callers, "rents", $"x {StormScenario.ByHand} {after}", processes.Ratio(contender, StormScenario.ByHand));
            report.Add("storm", contender, StormScenario.Callers, "rents", $"ms {after}", processes.Of(contender));
        }
    }

    /// <summary>The rounds of this process.</summary>
    public static async Task<ProcessRounds> MeasureAsync(IPEndPoint server, string serverId, CancellationToken cancellationToken)
    {
        Rounds<string, Storm> rounds = await StormScenario.PlayBothAsync(
            server, Rounds, WarmUps, new Neighbours(int.Parse(serverId, CultureInfo.InvariantCulture)), cancellationToken);
        return rounds.Export(static storm => storm.Milliseconds);
    }
}
