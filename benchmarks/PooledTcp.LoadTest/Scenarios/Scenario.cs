using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>One thing that is measured: a command of the program, and a part of its gate.</summary>
/// <param name="Name">Of the command.</param>
/// <param name="Targets">What it decides; empty for figures alone.</param>
/// <param name="Description">For the help.</param>
/// <param name="RunAsync">Measures it.</param>
internal sealed record Scenario(string Name, string Targets, string Description, Func<Report, Effort, CancellationToken, Task> RunAsync)
{
    /// <summary>In the order in which the gate plays them.</summary>
    public static IReadOnlyList<Scenario> All { get; } =
    [
        new("rent", "T1, T2", "Rent and return without I/O: 1 to 64 callers, as many connections and half as many.", RentScenario.RunAsync),
        new("echo", "T3, T4", "64-byte echo over loopback: 1 to 128 workers, beside raw sockets and every other pool; with telemetry and without.", EchoScenario.RunAsync),
        new("spike", "T5", "50 callers at once on 5 warm connections.", SpikeScenario.RunAsync),
        new("storm", "T6", "1,000 rents at once on an empty pool of 100.", StormScenario.RunAsync),
        new("idle", "T7", "10,000 idle connections: memory, CPU, and all closed by their peer at once.", IdleScenario.RunAsync),
        new("keys", "T8", "10,000 keys: rent cost, end to end, and the end of unused ones.", KeysScenario.RunAsync),
        new("churn", "T9", "2,000 closes a second to one destination, in a network namespace.", ChurnScenario.RunAsync),
        new("exhaust", "T10", "60,000 requests over a pool of 8 beside exhausted ports, in a network namespace.", ExhaustScenario.RunAsync),
        new("resp", "", "RESP against redis-server: 1 to 128 workers, beside raw sockets and StackExchange.Redis.", RespScenario.RunAsync),
        new("grow", "", "How cost grows with keys, connections, waiters and closes a second, for the charts.", GrowScenario.RunAsync),
    ];

    public IReadOnlyList<string> TargetIds => Targets.Split(", ", StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Opens the contenders, measures them in interleaved rounds, and closes them.</summary>
    public static async Task<Rounds<Contender, Slice>> CompareAsync(
        IReadOnlyList<Contender> contenders,
        int rounds,
        Func<Contender, Task<Slice>> measure,
        Neighbours neighbours,
        Report report,
        CancellationToken cancellationToken)
    {
        // Enough for the JIT: it compiles again what was called often, and counts what the first version saw.
        const int WarmUps = 4;
        try
        {
            foreach (Contender contender in contenders)
            {
                await contender.OpenAsync();
            }

            Rounds<Contender, Slice> table = await Rounds<Contender, Slice>.RunAsync(
                contenders, rounds, WarmUps, measure, LetCompileAsync, neighbours, cancellationToken);
            report.Count(table.Repeated, table.Disturbed);
            return table;
        }
        finally
        {
            foreach (Contender contender in contenders)
            {
                await contender.DisposeAsync();
            }
        }
    }

    /// <summary>
    /// As many callers as processors leave the JIT none: for seconds they would run what counts for its next version, in counters
    /// that they share, and take ten times as long. Tiered compilation waits until nothing new was called for 100 ms.
    /// </summary>
    public static Task LetCompileAsync(CancellationToken cancellationToken) => Task.Delay(250, cancellationToken);
}
