using PooledTcp.Shutdown;
using Xunit;

namespace PooledTcp.Tests.Shutdown;

/// <summary>The design's table, row by row. docs/closing.md has the same rows for users.</summary>
public class ShutdownPolicyTests
{
    private static readonly CloseFacts Clean = new()
    {
        Reason = CloseReason.IdleTimeout,
        State = ConnectionState.Established,
        QuietSupported = true,
        AllowQuietClose = true,
    };

    public static TheoryData<string, object, string> Rows => new()
    {
        // any reason, the peer's FIN or RST seen
        { "FIN seen", Clean with { State = ConnectionState.PeerClosed }, "Passive" },
        { "FIN seen, unread", Clean with { State = ConnectionState.PeerClosed, HasUnread = true }, "Passive" },
        { "FIN seen, unsent: never Abort", Clean with { State = ConnectionState.PeerClosed, HasUnsent = true, AllowAbort = true, Reason = CloseReason.Faulted }, "Passive" },
        { "RST seen", Clean with { State = ConnectionState.Reset, Reason = CloseReason.Faulted }, "Dispose" },

        // gone, or never there
        { "vanished", Clean with { Vanished = true }, "Abort" },
        { "vanished, unsent", Clean with { Vanished = true, HasUnsent = true }, "Abort" },
        { "dial given up", Clean with { State = ConnectionState.Connecting }, "Dispose" },

        // out of step
        { "faulted", Clean with { Reason = CloseReason.Faulted }, "Abort" },
        { "not completed", Clean with { Reason = CloseReason.Abandoned, GoodbyeKnown = true, TokenAvailable = true }, "Abort" },
        { "stray bytes", Clean with { Reason = CloseReason.HealthCheckFailed, HasUnread = true }, "Abort" },
        { "dirty", Clean with { Reason = CloseReason.ReturnedDirty, ClosesFirst = ClosesFirst.Client }, "Abort" },

        // the client shuts down
        { "shutdown, goodbye", Clean with { Reason = CloseReason.PoolShutdown, GoodbyeKnown = true, TokenAvailable = true }, "Goodbye then Quiet" },
        { "shutdown", Clean with { Reason = CloseReason.PoolShutdown, TokenAvailable = true }, "Quiet" },

        // a port is wanted now
        { "exhausted and wanted", Clean with { PortsExhausted = true, HasWaiters = true, GoodbyeKnown = true, TokenAvailable = true }, "Quiet" },
        { "exhausted, nobody waits", Clean with { PortsExhausted = true, TokenAvailable = true }, "Graceful then Quiet" },

        // bytes under way
        { "unsent, token", Clean with { HasUnsent = true, GoodbyeKnown = true, TokenAvailable = true }, "Graceful then Quiet" },
        { "unsent, no token", Clean with { HasUnsent = true, AllowAbort = true }, "Quiet" },
        { "unsent, no token, no quiet: never Abort", Clean with { HasUnsent = true, AllowAbort = true, AllowQuietClose = false }, "Graceful" },

        // clean
        { "goodbye, token", Clean with { GoodbyeKnown = true, TokenAvailable = true }, "Goodbye then Graceful then Quiet" },
        { "goodbye, no token", Clean with { GoodbyeKnown = true }, "Goodbye then Quiet" },
        { "token", Clean with { TokenAvailable = true }, "Graceful then Quiet" },
        { "no token", Clean, "Quiet" },

        // the server first
        { "server, goodbye", Clean with { ClosesFirst = ClosesFirst.Server, GoodbyeKnown = true, TokenAvailable = true }, "Goodbye then Quiet" },
        { "server, no goodbye", Clean with { ClosesFirst = ClosesFirst.Server, TokenAvailable = true }, "AwaitPeer then Quiet" },
        { "server, wanted", Clean with { ClosesFirst = ClosesFirst.Server, PortsExhausted = true, HasWaiters = true }, "Quiet" },
        { "server, shutdown", Clean with { ClosesFirst = ClosesFirst.Server, Reason = CloseReason.PoolShutdown }, "Quiet" },

        // the client first: never Quiet, never escalated
        { "client, token", Clean with { ClosesFirst = ClosesFirst.Client, TokenAvailable = true }, "Graceful" },
        { "client, no token", Clean with { ClosesFirst = ClosesFirst.Client, PortsExhausted = true, HasWaiters = true }, "Graceful" },

        // Quiet off or missing
        { "no quiet, abort allowed", Clean with { QuietSupported = false, AllowAbort = true }, "Abort" },
        { "no quiet, abort allowed, unread", Clean with { QuietSupported = false, AllowAbort = true, HasUnread = true }, "Graceful" },
        { "no quiet, no abort", Clean with { AllowQuietClose = false }, "Graceful" },
        { "no quiet, no abort, token: once is enough", Clean with { AllowQuietClose = false, TokenAvailable = true }, "Graceful" },
        { "no quiet, goodbye, token", Clean with { AllowQuietClose = false, GoodbyeKnown = true, TokenAvailable = true }, "Goodbye then Graceful" },

        // a unix socket
        { "unix", Clean with { IsUnix = true, Reason = CloseReason.Faulted, State = ConnectionState.PeerClosed }, "Dispose" },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public void Row(string name, object facts, string expected)
    {
        ClosePlan plan = ShutdownPolicy.Decide((CloseFacts)facts);

        IEnumerable<CloseMethod> steps = new[] { plan.First, plan.Second, plan.Third }.TakeWhile(static step => step != CloseMethod.None);
        Assert.Equal($"{name}: {expected}", $"{name}: {string.Join(" then ", steps)}");
        Assert.NotEmpty(plan.Why);
    }

    [Fact]
    public void A_close_that_must_be_the_clients_waits_for_its_token()
    {
        CloseFacts client = Clean with { ClosesFirst = ClosesFirst.Client };

        Assert.True(ShutdownPolicy.Decide(client).WaitsForToken);

        // One in sight may be another close's by the time it is asked for.
        Assert.True(ShutdownPolicy.Decide(client with { TokenAvailable = true }).WaitsForToken);
        Assert.False(ShutdownPolicy.Decide(Clean).WaitsForToken);
    }

    [Fact]
    public void Where_nothing_else_is_left_the_share_is_exceeded()
    {
        Assert.True(ShutdownPolicy.Decide(Clean with { QuietSupported = false }).ExceedsShare);
        Assert.False(ShutdownPolicy.Decide(Clean).ExceedsShare);
    }
}
