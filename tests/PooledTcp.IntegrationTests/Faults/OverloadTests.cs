using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using PooledTcp.IntegrationTests.Support;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>Ten times what the server can do, for a while.</summary>
public sealed class OverloadTests(ITestOutputHelper output)
{
    private const int Limit = 180_000;
    private const int Connections = 4;
    private const int Factor = 10;
    private const double Share = 0.9;

    // Each compares a moment with the next one on a machine that others may use; a pool that wastes capacity fails them all.
    private const int Rounds = 3;

    // When a bare timer was overdue all the time there is nothing to compare; this much of it always counts.
    private const double LeastUndisturbed = 0.2;

    private static readonly TimeSpan Service = TimeSpan.FromMilliseconds(40);
    private static readonly TimeSpan RentTimeout = TimeSpan.FromMilliseconds(250);

    // An exchange given up would close a connection; none is to, so that each one closed is one handed to nobody.
    private static readonly TimeSpan ExchangeTimeout = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(500);

    private int _sequence;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Seconds of overload; the acceptance run of 30 is made by hand.</summary>
    private static TimeSpan Length => TimeSpan.FromSeconds(
        double.Parse(Environment.GetEnvironmentVariable("POOLEDTCP_OVERLOAD_SECONDS") ?? "3", CultureInfo.InvariantCulture));

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
        var calls = new ConcurrentBag<CallResult>();
        var shares = new List<double>();
        while (shares.Count < Rounds && shares.DefaultIfEmpty().Max() < Share)
        {
            Rate capacity = await CapacityAsync(pool, server, machine);
            Rate goodput = await OverloadAsync(pool, server, machine, Factor * capacity.Clock, calls);
            shares.Add(Math.Max(goodput.Clock / capacity.Clock, goodput.Undisturbed / capacity.Undisturbed));
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"capacity {capacity.Clock:F1}/s, goodput under {Factor} times as many calls {goodput.Clock:F1}/s: {100 * goodput.Clock / capacity.Clock:F1} %, the machine's own delays not counted {100 * goodput.Undisturbed / capacity.Undisturbed:F1} %"));
        }

        foreach (CallResult call in calls)
        {
            audit.Record(call.RentStarted, call.RentedIn, RentTimeout);
        }

        DeadlineAudit.Lateness lateness = audit.Judge();
        output.WriteLine($"{string.Join(", ", calls.CountBy(static call => call.Outcome))}; {lateness}");
        Assert.All(calls, static call => Assert.True(call.Outcome is CallOutcome.Ok or CallOutcome.NotRented, $"{call}"));
        Assert.All(calls.Where(static call => call.Outcome == CallOutcome.NotRented), static call =>
            Assert.True(call.Error is RentTimeoutException or PoolQueueFullException, $"{call}"));
        lateness.AssertMet();
        Assert.True(shares.Max() >= Share, string.Join(", ", shares));

        // A waiter that had left and was handed a connection would keep it for ever, or close it.
        await KernelSockets.MatchAsync(pool, server.Port);
        TcpPoolSnapshot after = pool.GetSnapshot();
        Assert.Equal((Connections, 0), (after.Created, after.Closed));
        Assert.Equal(Connections, after.Idle);
    }

    /// <summary>Answers per second with as many callers as connections.</summary>
    private async Task<Rate> CapacityAsync(TcpPool pool, SlowServer server, MachineDelay machine)
    {
        bool over = false;
        Task callers = Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => Task.Run(async () =>
        {
            while (!Volatile.Read(ref over))
            {
                Assert.Equal(CallOutcome.Ok, (await CallAsync(pool, ExchangeTimeout)).Outcome);
            }
        })));
        Rate rate = await RateAsync(server, machine, TimeSpan.FromSeconds(2));
        Volatile.Write(ref over, true);
        await callers;
        return rate;
    }

    /// <summary>Answers per second while calls begin at a fixed rate, whatever becomes of the earlier ones.</summary>
    private async Task<Rate> OverloadAsync(
        TcpPool pool, SlowServer server, MachineDelay machine, double callsPerSecond, ConcurrentBag<CallResult> results)
    {
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
        Rate rate = await RateAsync(server, machine, Length);
        Volatile.Write(ref over, true);
        await pacer;
        return rate;
    }

    private static async Task<Rate> RateAsync(SlowServer server, MachineDelay machine, TimeSpan time)
    {
        await Task.Delay(WarmUp, Token);
        int before = server.Answered;
        long start = Stopwatch.GetTimestamp();
        await Task.Delay(time, Token);
        int answered = server.Answered - before;
        long end = Stopwatch.GetTimestamp();
        double seconds = Stopwatch.GetElapsedTime(start, end).TotalSeconds;
        double undisturbed = Math.Max(seconds - machine.Within(start, end).TotalSeconds, LeastUndisturbed * seconds);
        return new Rate(answered / seconds, answered / undisturbed);
    }

    private Task<CallResult> CallAsync(TcpPool pool, TimeSpan rentTimeout) =>
        IdCall.RunAsync(pool, $"call {Interlocked.Increment(ref _sequence)}", rentTimeout, ExchangeTimeout);

    /// <param name="Clock">Answers per second.</param>
    /// <param name="Undisturbed">Answers per second in which the machine was not late with everything.</param>
    private readonly record struct Rate(double Clock, double Undisturbed);
}
