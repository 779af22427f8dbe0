using System.Globalization;
using System.Text.Json;
using OutageReplay.Processes;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// T7: 10,000 idle connections, each of which has served a request. Client and server have a process each: a descriptor limit of
/// 20,000 is enough for either, and not for both.
/// </summary>
internal static class IdleScenario
{
    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        int connections = effort.Pick(10_000, 10_000, 500);
        report.Title($"{connections} idle connections (T7)");

        // A quiet pool is looked at every 30 s, which takes 2 ms: all of its windows together hold one at least. They also outlast
        // keepalive, which gives up after 35 to 40 s: whoever lost all its probes in a burst of 10,000 is gone by then.
        int windows = effort.Pick(6, 6, 1);
        TimeSpan window = TimeSpan.FromSeconds(effort.Pick(9, 6, 1));
        Held bare = await HoldAsync(Holder.Descriptors, connections, effort.Pick(6, 3, 1), window, cancellationToken);
        Held sockets = await HoldAsync(Holder.Sockets, connections, 1, window, cancellationToken);
        Held pooled = await HoldAsync(Holder.PooledTcp, connections, windows, window, cancellationToken);
        foreach ((string series, Held held) in ((string, Held)[])[("bare descriptors", bare), ("raw sockets", sockets), ("PooledTcp", pooled)])
        {
            report.Add("idle", series, connections, "connections", "B/connection", new Sample(held.BytesEach));
            report.Add("idle, used with a token that can be cancelled", series, connections, "connections", "B/connection", new Sample(held.BytesEachCancellable));
            report.Add("idle", series, connections, "connections", "ms of CPU/s", new Sample(held.CpuMilliseconds));
        }

        report.Add("idle, all closed by their peer", "PooledTcp", connections, "connections", "s", new Sample(pooled.NoticedSeconds));
        report.Add("idle, all closed by their peer, from its last FIN on", "PooledTcp", connections, "connections", "s", new Sample(pooled.NoticedAfterLastSeconds));

        double cancellable = pooled.BytesEachCancellable - sockets.BytesEachCancellable;
        report.AtMost(
            "T7.bytes",
            new Sample(pooled.BytesEach - sockets.BytesEach),
            128,
            "B/connection",
            $"over a raw socket that served one request without a token ({Report.Text(cancellable)} if both could be cancelled)");

        // The mean: the work that comes every 30 s is in one window, which a median would drop.
        double more = pooled.CpuMilliseconds.Average() - bare.CpuMilliseconds.Average();
        report.AtMost("T7.cpu", new Sample(more), 0.2, "ms of CPU/s", $"more than bare descriptors, on average over {windows * window.TotalSeconds} s; with DOTNET_TieredCompilation=0, or the JIT would be in it");
        report.NeverAbove("T7.noticed", new Sample(pooled.NoticedSeconds), 0.5, "s", $"until {connections} closes by their peer are noticed and carried out, the peer's own time included");
        report.NeverAbove("T7.healthy", new Sample(pooled.ClosedInTurns), 0, "connections", $"healthy ones closed in {connections} turns");
    }

    private static async Task<Held> HoldAsync(Holder holder, int connections, int windows, TimeSpan window, CancellationToken cancellationToken)
    {
        // Another server for each: the TIME_WAITs of the last one's clients would be in this one's way.
        await using ServerProcess server = await ServerProcess.StartAsync(ServerKind.Echo);

        // Compiled once and for all: the JIT's second thoughts come late on a busy machine, and took 2 ms/s of a process that idled.
        await using ChildProcess child = ChildProcess.Start(
        [
            "env", "DOTNET_TieredCompilation=0",
            .. ChildProcess.SelfCommand(
                [IdleHost.Verb, $"{holder}", $"{server.EndPoint}", .. Numbers(server.ControlPort, connections, windows, (int)window.TotalSeconds)]),
        ]);
        string? line = await child.Output.ReadLineAsync(cancellationToken);
        return line is null
            ? throw new LoadTestException($"{holder} could not hold {connections} connections: {await child.ReadErrorAsync(cancellationToken)}")
            : JsonSerializer.Deserialize<Held>(line)!;
    }

    private static IEnumerable<string> Numbers(params int[] numbers) => numbers.Select(static n => n.ToString(CultureInfo.InvariantCulture));
}
