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
        int keys = effort.Pick(10_000, 10_000, 200);
        report.Title($"{keys} keys (T8)");
        await RentAsync(keys, report, effort, cancellationToken);
        await EchoAsync(keys, report, effort, cancellationToken);
        await ForgetAsync(keys, report, cancellationToken);
    }

    private static async Task RentAsync(int keys, Report report, Effort effort, CancellationToken cancellationToken)
    {
        KeyedRentContender oneByHandle = new(1, byName: false, keys);
        KeyedRentContender oneByName = new(1, byName: true, keys);
        KeyedRentContender allByHandle = new(keys, byName: false, keys);
        KeyedRentContender allByName = new(keys, byName: true, keys);
        List<Contender> contenders = [oneByHandle, oneByName, allByHandle, allByName, new KeyedSemaphoreRoundContender(keys)];
        TimeSpan length = TimeSpan.FromMilliseconds(effort.Pick(250, 150, 20));
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            contenders,
            effort.Pick(21, 11, 2),
            contender => Slice.MeasureAsync(contender, 1, length),
            new Neighbours(),
            report,
            cancellationToken);
        foreach (Contender contender in contenders)
        {
            report.Add("keys, rent and return", contender.Name, keys, "keys", "x one key by handle", rounds.Ratio(contender, oneByHandle, static s => s.NanosecondsEach));
        }

        report.AtMost("T8.handle", rounds.Ratio(allByHandle, oneByHandle, static s => s.NanosecondsEach), 2, "x one key", $"rent and return by handle, {keys} keys in random order");
        report.AtMost("T8.name", rounds.Ratio(allByName, oneByName, static s => s.NanosecondsEach), 3, "x one key", $"rent and return by name, {keys} keys in random order");
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
        SocketRoundContender many = new(rawServer.EndPoint, keys / 10 * 9, Workers);
        TimeSpan length = TimeSpan.FromMilliseconds(effort.Pick(250, 250, 50));
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            [one, all, few, many],
            effort.Pick(41, 31, 2),
            contender => Slice.MeasureAsync(contender, Workers, length),
            new Neighbours(server.Id, rawServer.Id),
            report,
            cancellationToken);
        report.Add("keys, echo", all.Name, keys, "keys", "x time of one key", rounds.Ratio(one, all, static s => s.Rate));
        report.Add("keys, echo", many.Name, keys, "keys", "x time of eight raw sockets", rounds.Ratio(few, many, static s => s.Rate));
        report.AtMost(
            "T8.echo",
            rounds.Of(round => round[one].Rate / round[all].Rate / (round[few].Rate / round[many].Rate)),
            1.05,
            "x time of one key",
            $"echo of {Workers} workers over {keys} keys, without what as many raw sockets cost");
    }

    /// <summary>Addresses that were used once: in the end nothing is left of them.</summary>
    private static async Task ForgetAsync(int keys, Report report, CancellationToken cancellationToken)
    {
        await using PooledTcpClient client = NullClient.Create([], static defaults => defaults.IdleTimeout = IdleTimeout);
        IPEndPoint address = new(IPAddress.Loopback, 1);
        for (int i = 0; i < keys; i++)
        {
            using TcpLease lease = await client.GetPool(address, $"tenant-{i}").RentAsync(cancellationToken);
            lease.Complete();
        }

        long start = Stopwatch.GetTimestamp();
        while (client.Pools.Count > 0 && Stopwatch.GetElapsedTime(start) < Cycle)
        {
            await Task.Delay(50, cancellationToken);
        }

        report.Add("keys, until all unused ones are gone", "PooledTcp", keys, "keys", "s", new Sample(Stopwatch.GetElapsedTime(start).TotalSeconds));
        report.NeverAbove(
            "T8.gone", new Sample(client.Pools.Count), 0, "pools", $"of {keys} unused keys left {Cycle.TotalSeconds} s later, IdleTimeout {IdleTimeout.TotalSeconds} s");
    }
}
