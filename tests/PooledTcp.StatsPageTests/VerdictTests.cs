using System.Net.Sockets;
using PooledTcp.AspNetCore.Stats;
using PooledTcp.StatsPageTests.Support;
using Xunit;

namespace PooledTcp.StatsPageTests;

/// <summary>What a stranger reads: why a request was slow, or that none was.</summary>
public sealed class VerdictTests
{
    private static readonly TcpPoolSnapshot Busy = Snapshots.Pool() with { Used = 8 };

    [Fact]
    public void Served_at_once()
    {
        Expect("served_at_once", "Served at once: 99.8 % of 1,000 rents in the last 6 s found an idle connection; 2 callers waited 15 ms on average.", Busy, new Counters { Rents = 1000, RentsWaited = 2, Waits = 2, WaitTotal = 0.03, Created = 1 });
        Expect("served_at_once", "Served at once: 100 % of 1 rent in the last 6 s found an idle connection.", Busy, new Counters { Rents = 1 });
    }

    [Fact]
    public void Waiting_for_a_connection_to_come_back()
    {
        const string Late = "Waiting: 60.0 % of 100 rents in the last 6 s waited, mostly for a connection to come back; 60 callers waited 20 ms on average";
        Counters recent = new() { Rents = 100, RentsWaited = 60, Waits = 60, WaitTotal = 1.2, Created = 2 };
        Expect("waiting", $"{Late}; now MaxConnections 8 is reached, 8 on loan.", Busy, recent);
        Expect("waiting", "Waiting: 1 caller waits, and none was served in the last 6 s; now MaxConnections 8 is reached, 8 on loan.", Busy with { Waiting = 1 }, default);
        Expect("waiting", $"{Late}; now MaxTotalConnections 20 is reached.", Busy with { Used = 5 }, recent, total: 20, maxTotal: 20);
        Expect("waiting", $"{Late}; now MaxConnecting 4 is reached.", Busy with { Used = 2, Connecting = 4 }, recent);
    }

    [Fact]
    public void A_limit_is_named_only_while_it_is_reached()
    {
        const string Late = "Waiting: 60.0 % of 100 rents in the last 6 s waited, mostly for a connection to come back; 60 callers waited 20 ms on average.";
        Counters recent = new() { Rents = 100, RentsWaited = 60, Waits = 60, WaitTotal = 1.2 };
        Expect("waiting", Late, Busy with { Used = 0, Idle = 8 }, recent, total: 20, maxTotal: 20);
        Expect("waiting", Late, Busy with { Used = 7, Idle = 1 }, recent);
        Expect("waiting", Late, Busy with { Used = 5, Connecting = 2 }, recent, total: 19, maxTotal: 20);
    }

    [Fact]
    public void Who_waited_and_got_none_is_not_counted_among_the_rents()
    {
        // Two in three gave up, as with hedged calls: those who were served were served at once.
        Expect(
            "served_at_once",
            "Served at once: 100 % of 100 rents in the last 6 s found an idle connection; 200 callers waited 10 ms on average.",
            Busy,
            new() { Rents = 100, Waits = 200, WaitTotal = 2 });
        Expect("waiting", "Waiting: no caller was served in the last 6 s; 3 callers waited 2.0 s on average.", Snapshots.Pool(), new() { Waits = 3, WaitTotal = 6 });
        Expect(
            "waiting",
            "Waiting: 100 % of 100 rents in the last 6 s found an idle connection, but others got none; 9 callers waited 1.0 s on average; 9 rents timed out; 1 rent was refused.",
            Snapshots.Pool(),
            new() { Rents = 100, Timeouts = 9, RentsRefused = 1, Waits = 9, WaitTotal = 9 });

        // Those are few of a thousand, and a warm-up's dial is not what they waited for.
        Expect(
            "served_at_once",
            "Served at once: 100 % of 1,000 rents in the last 6 s found an idle connection; 9 rents were refused.",
            Snapshots.Pool(),
            new() { Rents = 1000, RentsRefused = 9, Created = 1 });
        Expect("waiting", "Waiting: no caller was served in the last 6 s; 9 rents were refused.", Snapshots.Pool(), new() { RentsRefused = 9, Created = 1 });
        Assert.Equal(0.75, new Counters { Rents = 100, RentsWaited = 25, Waits = 500, Timeouts = 90 }.ServedAtOnce);
        Assert.Null(new Counters { Waits = 5, Timeouts = 3 }.ServedAtOnce);
    }

    [Fact]
    public void Waiting_for_new_connections()
    {
        TcpPoolSnapshot pool = Busy with { ClosedByReason = new Dictionary<string, long> { ["faulted"] = 3, ["max_uses"] = 90 } };
        Expect(
            "dialing",
            "Dialing: 80.0 % of 100 rents in the last 6 s waited, mostly for a new connection: 75 dials, 4.0 ms each; 80 callers waited 5.0 ms on average. Most closes so far: max_uses.",
            pool,
            new Counters { Rents = 100, RentsWaited = 80, Waits = 80, WaitTotal = 0.4, Created = 75, CreateTotal = 0.3, Closed = 75 });
    }

    [Fact]
    public void Unreachable()
    {
        TcpPoolSnapshot down = Snapshots.Pool() with
        {
            BreakerState = BreakerState.Open,
            LastConnectError = new IOException("no", new SocketException((int)SocketError.ConnectionRefused)),
            LastConnectErrorAge = TimeSpan.FromSeconds(2),
        };
        Expect("unreachable", "Unreachable: dials failed so often that rents fail at once, until a probe gets through. Last dial error 2.0 s ago: connection_refused.", down, default);
        Expect(
            "unreachable",
            "Unreachable: 1 dial failed in the last 6 s and none succeeded. Last dial error 2.0 s ago: connection_refused.",
            down with { BreakerState = BreakerState.Closed },
            new Counters { Waits = 1, WaitTotal = 1, CreateFailures = 1 });

        // What is open is lent all the same.
        Assert.Equal("served_at_once", Verdict.Of(down with { Idle = 1 }, new Counters { Rents = 100 }, 6, 1, null).Code);
    }

    [Fact]
    public void Nothing_to_say_and_out_of_service()
    {
        Expect("quiet", "Quiet: no connection was rented in the last 6 s.", Snapshots.Pool(), default);
        Assert.Equal("Quiet: no connection was rented since the pool was made.", Verdict.Of(Snapshots.Pool(), default, null, 0, null).Text);
        Expect("paused", "Paused: rents wait until Resume() is called; 1 waits now.", Snapshots.Pool() with { State = TcpPoolState.Paused, Waiting = 1 }, default);
        Expect("draining", "Draining: the client is shutting down and refuses new rents.", Snapshots.Pool() with { State = TcpPoolState.Draining }, default);
        Expect("closed", "Closed: the client was disposed; every rent fails.", Snapshots.Pool() with { State = TcpPoolState.Closed }, default);
    }

    [Fact]
    public void Trouble_has_a_code_and_a_severity()
    {
        ExpectTrouble("closed", "failing", static p => p with { State = TcpPoolState.Closed });
        ExpectTrouble("breaker_open", "failing", static p => p with { BreakerState = BreakerState.Open });
        ExpectTrouble("queue_full, waiting", "failing", static p => p with { Waiting = 5, MaxWaiters = 5 });
        ExpectTrouble("dials_failing", "failing", static p => p, new Counters { Rents = 5, CreateFailures = 1 });
        ExpectTrouble("ports_exhausted", "failing", static p => p with { PortPressure = 0.9, PortsUsed = 40, PortBudget = 100 });
        ExpectTrouble("timeouts", "failing", static p => p, new Counters { Rents = 5, Timeouts = 1 });
        ExpectTrouble("refusals", "failing", static p => p, new Counters { Rents = 5, RentsRefused = 1 });
        ExpectTrouble("waiting", "strained", static p => p with { Waiting = 1 });
        ExpectTrouble("saturated", "strained", static p => p with { Used = 6, Connecting = 1, Closing = 1 });
        ExpectTrouble("dial_failures", "strained", static p => p, new Counters { Rents = 5, Created = 1, CreateFailures = 1 });
        ExpectTrouble("breaker_half_open", "strained", static p => p with { BreakerState = BreakerState.HalfOpen });
        ExpectTrouble("port_pressure", "strained", static p => p with { PortPressure = 0.75, PortBudget = 100 });
        ExpectTrouble("little_reuse", "strained", static p => p, new Counters { Rents = 20, RentsWaited = 11, Waits = 11, Created = 11 });
        ExpectTrouble("paused", "strained", static p => p with { State = TcpPoolState.Paused });
        ExpectTrouble("draining", "strained", static p => p with { State = TcpPoolState.Draining });
        ExpectTrouble("", "ok", static p => p with { Used = 8, Idle = 0, MaxConnections = 9, PortPressure = 0.74, PortsUsed = 95, PortBudget = 100 }, new Counters { Rents = 20, RentsWaited = 10, Waits = 10, Created = 10 });
    }

    [Fact]
    public void Without_an_interval_nothing_that_was_counted_is_trouble()
    {
        var old = new Counters { Rents = 100, RentsRefused = 9, Timeouts = 9, Created = 90, CreateFailures = 9 };
        Assert.Equal(["timeouts", "refusals", "dial_failures", "little_reuse"], Trouble.Of(Snapshots.Pool(), old));
        Assert.Empty(Trouble.Of(Snapshots.Pool(), null));
        Assert.Equal(["waiting"], Trouble.Of(Snapshots.Pool() with { Waiting = 1 }, null));
        Assert.Equal(
            "Served at once: 97.0 % of 100 rents since the pool was made found an idle connection; 3 callers waited 1.0 s on average; 3 rents timed out.",
            Verdict.Of(Snapshots.Pool(), new Counters { Rents = 100, RentsWaited = 3, Timeouts = 3, Waits = 3, WaitTotal = 3 }, null, 0, null).Text);
    }

    private static void ExpectTrouble(string codes, string severity, Func<TcpPoolSnapshot, TcpPoolSnapshot> change, Counters recent = default)
    {
        List<string> found = Trouble.Of(change(Snapshots.Pool()), recent);
        Assert.Equal((codes, severity), (string.Join(", ", found), Trouble.Severity(found)));
    }

    private static void Expect(string code, string text, TcpPoolSnapshot pool, Counters recent, int total = 8, int? maxTotal = null)
    {
        Verdict verdict = Verdict.Of(pool, recent, 6, total, maxTotal);
        Assert.Equal((code, text), (verdict.Code, verdict.Text));
    }
}
