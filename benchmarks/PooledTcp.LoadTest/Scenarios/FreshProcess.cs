using System.Net;
using System.Text.Json;
using OutageReplay;
using OutageReplay.Processes;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// Measures in new processes, one after the other, by running this program again. The JIT decides once for a process, by what it
/// happened to see, how code is laid out and what is inlined: T1.awaited was 1.55 to 2.14 x DefaultObjectPool in different
/// processes of one binary, with little spread inside each. A single process is a sample of one. And by what ran before: a parent
/// that has played something else, or nothing, gives another figure.
/// </summary>
internal static class FreshProcess
{
    public const string Verb = "--fresh";

    /// <param name="processes">How many.</param>
    /// <param name="report">Learns which rounds were disturbed.</param>
    /// <param name="arguments">One of those that <see cref="RunAsync"/> knows.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>For each comparison that a process makes, in its order, all processes.</returns>
    public static async Task<Processes[]> PlayAsync(int processes, Report report, string[] arguments, CancellationToken cancellationToken)
    {
        List<ProcessRounds[]> all = [];
        while (all.Count < processes)
        {
            await using ChildProcess child = ChildProcess.Start(ChildProcess.SelfCommand([Verb, .. arguments]));
            string? line = await child.Output.ReadLineAsync(cancellationToken);
            all.Add(line is null
                ? throw new LoadTestException($"{arguments[0]} failed in a process of its own: {await child.ReadErrorAsync(cancellationToken)}")
                : JsonSerializer.Deserialize<ProcessRounds[]>(line)!);
        }

        Processes[] comparisons = [.. all[0].Select((_, i) => new Processes([.. all.Select(process => process[i])]))];
        report.Count(comparisons.Sum(static played => played.Repeated), comparisons.Sum(static played => played.Disturbed));
        return comparisons;
    }

    /// <summary>The child's side.</summary>
    public static async Task<int> RunAsync(string[] arguments)
    {
        using Lifeline lifeline = Lifeline.Hold();
        try
        {
            ProcessRounds[] rounds = arguments switch
            {
                [OneCaller.Name, string effort] => [await OneCaller.MeasureAsync(Enum.Parse<Effort>(effort), lifeline.Cut)],
                [Contended.Name, string effort] => await Contended.MeasureAsync(Enum.Parse<Effort>(effort), lifeline.Cut),
                [HeldAcrossYield.Name, string effort] => await HeldAcrossYield.MeasureAsync(Enum.Parse<Effort>(effort), lifeline.Cut),
                [KeyRents.Name, string effort] => [await KeyRents.MeasureAsync(Enum.Parse<Effort>(effort), lifeline.Cut)],
                [HttpProcesses.Name, string effort] => [await HttpProcesses.MeasureAsync(Enum.Parse<Effort>(effort), lifeline.Cut)],
                [StormProcesses.Name, string server, string serverId, string warmUps, string effort] =>
                    [await StormProcesses.MeasureAsync(IPEndPoint.Parse(server), serverId, warmUps, Enum.Parse<Effort>(effort), lifeline.Cut)],
                _ => throw new LoadTestException("Nothing that is measured in a process of its own."),
            };
            Console.WriteLine(JsonSerializer.Serialize(rounds));
            return ExitCodes.Proved;
        }
        catch (Exception e) when (!lifeline.Cut.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return ExitCodes.Failed;
        }
    }
}
