using System.Diagnostics;
using System.Net;
using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>T8: as many pools as keys, and what that costs those who rent.</summary>
internal static class KeysScenario
{
    private const int Workers = 8;

    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Of a key without callers: its connection's idle time, and two sweeps that find the pool empty.</summary>
    private static readonly TimeSpan Cycle = TimeSpan.FromSeconds(15);

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        int keys = KeyRents.KeysOf(effort);
        report.Title($"{keys} keys (T8)");
        await KeyRents.RunAsync(report, effort, cancellationToken);
        if (report.Asks("T8.echo"))
        {
            await EchoAsync(keys, report, effort, cancellationToken);
        }

        await ForgetAsync(keys, report, effort, cancellationToken);
    }

    /// <summary>
    /// Ten thousand connections in turn are slower than eight by themselves: what the kernel and the runtime keep for each, at
    /// both ends, is out of the caches (1.22 x with raw sockets, where this was written). That is no matter of keys, so raw
    /// sockets go the same round and their factor is divided out, inside each round. They are a tenth fewer than the keys, since
    /// the client may not open more than 20,000 descriptors everywhere: their factor is rather too small for that.
    /// </summary>
    private static async Task EchoAsync(int keys, Report report, Effort effort, CancellationToken cancellationToken)
    {
        // Two servers: one alone would need as many descriptors as the client.
        await using ServerProcess server = await ServerProcess.StartAsync(ServerKind.Echo);
        await using ServerProcess rawServer = await ServerProcess.StartAsync(ServerKind.Echo);
        KeyedEchoContender one = new(server.EndPoint, 1, Workers);
        KeyedEchoContender all = new(server.EndPoint, keys, Workers);
        SocketRoundContender few = new(rawServer.EndPoint, Workers, Workers);
        int rawSockets = keys / 10 * 9;
        SocketRoundContender many = new(rawServer.EndPoint, rawSockets, Workers);
        TimeSpan length = TimeSpan.FromMilliseconds(effort.Pick(250, 250, 50));
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            [one, all, few, many],
            effort.Pick(41, 31, 2),
            contender => Slice.MeasureAsync(contender, Workers, length),
            new Neighbours(server.Id, rawServer.Id),
            report,
            cancellationToken);
        Sample plain = rounds.Ratio(one, all, static s => s.Rate);
        Sample raw = rounds.Ratio(few, many, static s => s.Rate);
        report.Add("keys, echo", all.Name, keys, "keys", "x time of one key", plain);
        report.Add("keys, echo", many.Name, keys, "keys", "x time of eight raw sockets", raw);
        report.AtMost(
            "T8.echo",
            rounds.Of(round => round[one].Rate / round[all].Rate / (round[few].Rate / round[many].Rate)),
            1.05,
            "x time of one key",
            $"echo of {Workers} workers over {keys} keys: {Report.Text(plain.Median)} x, divided by what {rawSockets} raw sockets in turn take over {Workers} ({Report.Text(raw.Median)} x)");
    }

    /// <summary>Addresses that were used once: in the end nothing is left of them.</summary>
    private static async Task ForgetAsync(int keys, Report report, Effort effort, CancellationToken cancellationToken)
    {
        await using PooledTcpClient client = NullClient.Create([], static defaults => defaults.IdleTimeout = IdleTimeout);
        IPEndPoint address = new(IPAddress.Loopback, 1);
        for (int i = 0; i < keys; i++)
        {
            using TcpLease lease = await client.GetPool(address, $"tenant-{i}").RentAsync(cancellationToken);
            lease.Complete();
        }

        // On a busy machine it may be late; that it happens is what the check asks.
        TimeSpan patience = effort == Effort.Check ? 4 * Cycle : Cycle;
        long start = Stopwatch.GetTimestamp();
        while (client.Pools.Count > 0 && Stopwatch.GetElapsedTime(start) < patience)
        {
            await Task.Delay(50, cancellationToken);
        }

        report.Add("keys, until all unused ones are gone", "PooledTcp", keys, "keys", "s", new Sample(Stopwatch.GetElapsedTime(start).TotalSeconds));
        report.NeverAbove(
            "T8.gone", new Sample(client.Pools.Count), 0, "pools", $"of {keys} unused keys left {patience.TotalSeconds} s later, IdleTimeout {IdleTimeout.TotalSeconds} s");
    }
}
