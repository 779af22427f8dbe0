using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using PooledTcp.IntegrationTests.Support;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>Ten times what the server can do, for thirty seconds.</summary>
public sealed class OverloadTests(ITestOutputHelper output)
{
    private const int Limit = 300_000;
    private const int Connections = 8;
    private const int Factor = 10;
    private const double Share = 0.9;

    // Of the thirty seconds; what counts is the median, so that one bad moment of the machine does not decide.
    private const int Rounds = 3;
    private const int CapacityCalls = 10;

    // So long that a delay of the machine is a small part of it, and ten times the capacity a small load.
    private static readonly TimeSpan Service = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Round = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan RentTimeout = TimeSpan.FromMilliseconds(500);

    // An exchange given up would close a connection; none is to, so that each one closed is one handed to nobody.
    private static readonly TimeSpan ExchangeTimeout = TimeSpan.FromSeconds(60);

    private int _sequence;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task Ten_times_the_capacity_leaves_the_goodput_and_no_connection_goes_to_an_expired_waiter()
    {
        await using var server = new SlowServer(Service);
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("slow", endpoint =>
        {
            endpoint.Address = server.Address;
            endpoint.MaxConnections = Connections;
        }));
        TcpPool pool = client.GetPool("slow");
        await pool.WarmUpAsync(Connections, Token);
        using var machine = new MachineDelay();
        var audit = new DeadlineAudit(machine);
        await using var control = new CapacityControl(Service, Connections);

        double before = await CapacityAsync(pool);
        (ConcurrentBag<CallResult> calls, List<(double Goodput, double Control)> rounds) = await OverloadAsync(pool, server, control, Factor * before);
        double after = await CapacityAsync(pool);

        foreach (CallResult call in calls)
        {
            audit.Record(call.RentStarted, call.RentedIn, RentTimeout);
        }

        // The capacity of that moment: on a machine that others slow down meanwhile, what the same number of bare sockets got.
        double capacity = (before + after) / 2;
        double[] shares = [.. rounds.Select(round => round.Goodput / Math.Min(capacity, round.Control)).Order()];
        DeadlineAudit.Lateness lateness = audit.Judge();
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"capacity {before:F1}/s before and {after:F1}/s after; under {Factor} times as many calls {string.Join(", ", rounds.Select(static round => FormattableString.Invariant($"{round.Goodput:F1}/s (bare sockets {round.Control:F1}/s)")))}: median {100 * shares[Rounds / 2]:F1} %, worst {100 * shares[0]:F1} %"));
        output.WriteLine($"{string.Join(", ", calls.CountBy(static call => call.Outcome))}; {lateness}");
        Assert.All(calls, static call => Assert.True(call.Outcome is CallOutcome.Ok or CallOutcome.NotRented, $"{call}"));
        Assert.All(calls.Where(static call => call.Outcome == CallOutcome.NotRented), static call =>
            Assert.True(call.Error is RentTimeoutException or PoolQueueFullException, $"{call}"));
        lateness.AssertMet();
        Assert.True(shares[Rounds / 2] >= Share, string.Join(", ", shares));

        // A waiter that had left and was handed a connection would keep it for ever, or close it.
        await KernelSockets.MatchAsync(pool, server.Port);
        TcpPoolSnapshot now = pool.GetSnapshot();
        Assert.Equal((Connections, 0), (now.Created, now.Closed));
        Assert.Equal(Connections, now.Idle);
    }

    /// <summary>Answers per second with as many callers as connections.</summary>
    private async Task<double> CapacityAsync(TcpPool pool)
    {
        TimeSpan[] times = await Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => Task.Run(async () =>
        {
            var watch = Stopwatch.StartNew();
            for (int i = 0; i < CapacityCalls; i++)
            {
                CallResult call = await CallAsync(pool, ExchangeTimeout);
                Assert.True(call.Outcome == CallOutcome.Ok, $"{call}");
            }

            return watch.Elapsed;
        })));
        return times.Sum(static time => CapacityCalls / time.TotalSeconds);
    }

    /// <summary>Answers per second while calls begin at a fixed rate, whatever becomes of the earlier ones.</summary>
    private async Task<(ConcurrentBag<CallResult> Calls, List<(double Goodput, double Control)> Rounds)> OverloadAsync(
        TcpPool pool, SlowServer server, CapacityControl control, double callsPerSecond)
    {
        var results = new ConcurrentBag<CallResult>();
        var rounds = new List<(double Goodput, double Control)>();
        bool over = false;
        Task pacer = Task.Run(async () =>
        {
            var calls = new List<Task>();
            var watch = Stopwatch.StartNew();
            while (!Volatile.Read(ref over))
            {
                // Behind time, it makes up for it: the rate holds on a busy machine as well.
                while (calls.Count < watch.Elapsed.TotalSeconds * callsPerSecond)
                {
                    calls.Add(Task.Run(async () => results.Add(await CallAsync(pool, RentTimeout))));
                }

                await Task.Delay(5);
            }

            await Task.WhenAll(calls);
        });
        await Task.Delay(WarmUp, Token);
        while (rounds.Count < Rounds)
        {
            int answered = server.Answered;
            long start = Stopwatch.GetTimestamp();
            await Task.Delay(Round, Token);
            answered = server.Answered - answered;
            long end = Stopwatch.GetTimestamp();
            rounds.Add((answered / Stopwatch.GetElapsedTime(start, end).TotalSeconds, control.RateWithin(start, end)));
        }

        Volatile.Write(ref over, true);
        await pacer;
        return (results, rounds);
    }

    private Task<CallResult> CallAsync(TcpPool pool, TimeSpan rentTimeout) =>
        IdCall.RunAsync(pool, $"call {Interlocked.Increment(ref _sequence)}", rentTimeout, ExchangeTimeout);
}
