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
        Expect("served_at_once", "Served at once: 99.8 % of 1,000 rents in the last 6 s found an idle connection; 2 callers waited, 15 ms on average.", Busy, new(1000, 2, 0.03, 1, 0, 0, 0, 0));
        Expect("served_at_once", "Served at once: 100 % of 1 rent in the last 6 s found an idle connection.", Busy, new(1, 0, 0, 0, 0, 0, 0, 0));
    }

    [Fact]
    public void Waiting_for_a_connection_to_come_back()
    {
        Counters recent = new(90, 60, 1.2, 2, 0, 0, 0, Timeouts: 10);
        Expect("waiting", "Waiting: 60.0 % of 100 rents in the last 6 s waited, 20 ms on average for a connection to come back; 8 of MaxConnections 8 are on loan.", Busy, recent);
        Expect("waiting", "Waiting: 1 caller waits, and none was served in the last 6 s, for a connection to come back; 8 of MaxConnections 8 are on loan.", Busy with { Waiting = 1 }, default);
        Expect(
            "waiting",
            "Waiting: 60.0 % of 100 rents in the last 6 s waited, 20 ms on average for a connection to come back; MaxTotalConnections 20 is reached.",
            Busy with { Used = 5 },
            recent,
            total: 20,
            maxTotal: 20);
        Expect(
            "waiting",
            "Waiting: 60.0 % of 100 rents in the last 6 s waited, 20 ms on average for a connection to come back; 2 are on loan, 4 of MaxConnecting 4 are being dialed.",
            Busy with { Used = 2, Connecting = 4 },
            recent);
    }

    [Fact]
    public void Waiting_for_new_connections()
    {
        TcpPoolSnapshot pool = Busy with { ClosedByReason = new Dictionary<string, long> { ["faulted"] = 3, ["max_uses"] = 90 } };
        Expect(
            "dialing",
            "Dialing: 80.0 % of 100 rents in the last 6 s waited, 5.0 ms on average, mostly for a new connection: 75 dials, 4.0 ms each. Most closes so far: max_uses.",
            pool,
            new(100, 80, 0.4, 75, 0.3, 0, 75, 0));
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
            new(0, 1, 1, 0, 0, 1, 0, 0));

        // What is open is lent all the same.
        Assert.Equal("served_at_once", Verdict.Of(down with { Idle = 1 }, new(100, 0, 0, 0, 0, 0, 0, 0), 6, 1, null).Code);
    }

    [Fact]
    public void Nothing_to_say_and_out_of_service()
    {
        Expect("quiet", "Quiet: no connection was rented in the last 6 s.", Snapshots.Pool(), default);
        Assert.Equal("Quiet: no connection was rented so far.", Verdict.Of(Snapshots.Pool(), default, null, 0, null).Text);
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
        ExpectTrouble("dials_failing", "failing", static p => p, new(5, 0, 0, 0, 0, 1, 0, 0));
        ExpectTrouble("ports_exhausted", "failing", static p => p with { PortsUsed = 90, PortBudget = 100 });
        ExpectTrouble("timeouts", "failing", static p => p, new(5, 0, 0, 0, 0, 0, 0, 1));
        ExpectTrouble("waiting", "strained", static p => p with { Waiting = 1 });
        ExpectTrouble("saturated", "strained", static p => p with { Used = 6, Connecting = 1, Closing = 1 });
        ExpectTrouble("dial_failures", "strained", static p => p, new(5, 0, 0, 1, 0, 1, 0, 0));
        ExpectTrouble("breaker_half_open", "strained", static p => p with { BreakerState = BreakerState.HalfOpen });
        ExpectTrouble("port_pressure", "strained", static p => p with { PortsUsed = 75, PortBudget = 100 });
        ExpectTrouble("little_reuse", "strained", static p => p, new(20, 11, 0, 11, 0, 0, 0, 0));
        ExpectTrouble("paused", "strained", static p => p with { State = TcpPoolState.Paused });
        ExpectTrouble("draining", "strained", static p => p with { State = TcpPoolState.Draining });
        ExpectTrouble("", "ok", static p => p with { Used = 8, Idle = 0, MaxConnections = 9, PortsUsed = 74, PortBudget = 100 }, new(20, 10, 0, 10, 0, 0, 0, 0));
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
