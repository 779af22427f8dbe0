namespace PooledTcp.Shutdown;

/// <summary>
/// The closing decision: who closes first, and by which method. Pure, total, allocation-free; the first row that matches
/// wins. docs/closing.md explains the rows to users.
/// </summary>
/// <remarks>
/// The order is the argument. First what is already decided (the peer closed, or is gone), then what must not linger (a
/// stream out of step, whose late reply nobody may read), then the user's wish, and last what the ports can afford.
/// </remarks>
internal static class ShutdownPolicy
{
    public static ClosePlan Decide(in CloseFacts facts)
    {
        if (facts.IsUnix)
        {
            return Plan(CloseMethod.Dispose, "a unix socket has no port and no TIME-WAIT");
        }

        if (facts.State == ConnectionState.Reset)
        {
            return Plan(CloseMethod.Dispose, "the peer reset the connection: nothing is owed");
        }

        if (facts.State == ConnectionState.Connecting)
        {
            return Plan(CloseMethod.Dispose, "the dial was given up: its port is free at once");
        }

        if (facts.State == ConnectionState.PeerClosed)
        {
            // Never Abort here, not even with unsent bytes: they would be lost, and the TIME-WAIT is the peer's anyway.
            return Plan(CloseMethod.Passive, facts.HasUnread
                ? "the peer closed first: the unread bytes are drained, then it is our turn"
                : "the peer closed first: its TIME-WAIT");
        }

        if (facts.Vanished)
        {
            // A FIN would hold the port until the kernel gives up (tcp-facts row 12: 107 s).
            return Plan(CloseMethod.Abort, "the peer does not answer: a FIN would hold the port for minutes");
        }

        if (facts.IsOutOfStep)
        {
            return Plan(CloseMethod.Abort, "the stream is out of step: the peer must notice, and its late reply must not be read");
        }

        return facts.ClosesFirst switch
        {
            ClosesFirst.Client => DecideClientFirst(facts),
            ClosesFirst.Server => DecideServerFirst(facts),
            _ => DecideAuto(facts),
        };
    }

    private static ClosePlan DecideAuto(in CloseFacts facts)
    {
        if (facts.Reason == CloseReason.PoolShutdown)
        {
            return facts.GoodbyeKnown
                ? Then(CloseMethod.Goodbye, WithoutTimeWait(facts, ""), "shutting down: the farewell lets the server close first, briefly")
                : WithoutTimeWait(facts, "shutting down: nobody needs a TIME-WAIT");
        }

        if (facts.PortsExhausted && facts.HasWaiters)
        {
            return WithoutTimeWait(facts, "ports are exhausted and somebody waits: the port is free in one round trip");
        }

        if (facts.Reason == CloseReason.PeerIdleLimit)
        {
            return Then(CloseMethod.AwaitPeer, WithoutTimeWait(facts, ""), "the peer is about to close it as idle: its TIME-WAIT, without a word from us");
        }

        if (facts.HasUnsent && !facts.HasUnread)
        {
            return facts.TokenAvailable
                ? GracefulThenQuiet(facts, "bytes are still unacknowledged: an orderly close carries them")
                : WithoutTimeWait(facts, "bytes are still unacknowledged, and the share of TIME-WAITs is used up");
        }

        if (facts.GoodbyeKnown)
        {
            ClosePlan next = facts.TokenAvailable ? GracefulThenQuiet(facts, "") : WithoutTimeWait(facts, "");
            return Then(CloseMethod.Goodbye, next, "the protocol has a farewell: the server closes first and keeps the TIME-WAIT");
        }

        return facts.TokenAvailable
            ? GracefulThenQuiet(facts, "within its share of TIME-WAITs the client can afford an orderly close")
            : WithoutTimeWait(facts, "the share of TIME-WAITs is used up");
    }

    private static ClosePlan DecideServerFirst(in CloseFacts facts)
    {
        ClosePlan last = WithoutTimeWait(facts, "");
        if (facts.PortsExhausted && facts.HasWaiters)
        {
            return last with { Why = "ports are exhausted and somebody waits: no time to wait for the server" };
        }

        if (facts.Reason == CloseReason.PeerIdleLimit)
        {
            // Before the farewell: answered, that would look like the peer's own limit, and confirm one that holds no more.
            return Then(CloseMethod.AwaitPeer, last, "the peer is about to close it as idle: without a word from us");
        }

        if (facts.GoodbyeKnown)
        {
            return Then(CloseMethod.Goodbye, last, "the server is to close first: the farewell asks it to");
        }

        return facts.Reason == CloseReason.PoolShutdown
            ? last with { Why = "shutting down: no time to wait for the server's own close" }
            : Then(CloseMethod.AwaitPeer, last, "the server is to close first: out of rotation until it does");
    }

    private static ClosePlan DecideClientFirst(in CloseFacts facts) => new()
    {
        First = CloseMethod.Graceful,

        // Also with one in sight: another close may take it first, and there is no other method to fall back on.
        WaitsForToken = true,
        Why = facts.TokenAvailable
            ? "the client is to close first"
            : "the client is to close first, and waits for its share of TIME-WAITs",
    };

    private static ClosePlan GracefulThenQuiet(in CloseFacts facts, string why)
    {
        // The token may be gone by the time its turn comes (after a Goodbye); then the step is passed over. Where the last
        // resort is Graceful, too, there is but one step, with or without a token.
        ClosePlan last = WithoutTimeWait(facts, why);
        return last.First == CloseMethod.Graceful ? last : new ClosePlan { First = CloseMethod.Graceful, Second = last.First, Why = why };
    }

    /// <summary>
    /// The close that costs no port: Quiet; where it is off or missing, Abort if that is allowed and loses nothing; else
    /// Graceful without a token, which exceeds the share.
    /// </summary>
    private static ClosePlan WithoutTimeWait(in CloseFacts facts, string why)
    {
        if (facts.QuietSupported && facts.AllowQuietClose)
        {
            return Plan(CloseMethod.Quiet, why);
        }

        return facts.AllowAbort && !facts.HasUnsent && !facts.HasUnread
            ? Plan(CloseMethod.Abort, why)
            : new ClosePlan { First = CloseMethod.Graceful, ExceedsShare = true, Why = why };
    }

    private static ClosePlan Then(CloseMethod first, in ClosePlan rest, string why) =>
        rest with { First = first, Second = rest.First, Third = rest.Second, Why = why };

    private static ClosePlan Plan(CloseMethod method, string why) => new() { First = method, Why = why };
}
