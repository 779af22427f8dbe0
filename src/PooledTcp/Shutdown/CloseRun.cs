using System.Diagnostics;
using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Telemetry;

namespace PooledTcp.Shutdown;

/// <summary>
/// One close, from the decision to the closed descriptor. Parts that only wait (for a token, for the server's own FIN) run
/// outside the lane; the rest holds a place in it and ends by its deadlines.
/// </summary>
internal sealed class CloseRun(TcpConnection connection, CloseReason reason, CloseContext context, Action<CloseRun, CloseOutcome> onClosed)
    : IThreadPoolWorkItem
{
    /// <summary>The least an escalation leaves a farewell's answer: on a fast network, the time of a server to notice.</summary>
    private static readonly TimeSpan ShortestGrace = TimeSpan.FromMilliseconds(10);

    /// <summary>A peer may take 40 ms to acknowledge a FIN that it does not answer.</summary>
    private static readonly TimeSpan DelayedAck = TimeSpan.FromMilliseconds(50);

    /// <summary>How long a port that may have a TIME-WAIT stays in the books undecided.</summary>
    internal static readonly TimeSpan LongestSettling = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();

    // Set when the run starts: off the caller's path, and outside the pool's gate.
    private IClosingSocket _socket = null!;
    private ReadOnlyMemory<byte> _farewell;
    private ClosePlan _plan;
    private CancellationTokenSource? _wait;
    private TimeSpan _grace;
    private bool _awaitsPeer;
    private bool _hurried;
    private bool _escalated;
    private bool _hasToken;
    private bool _mayHaveCrossed;
    private bool _isDirty;
    private TimeSpan? _limit;
    private TimeSpan _roundTrip;

    public TcpConnection Connection => connection;

    /// <summary>Why it left the pool.</summary>
    public CloseReason GivenReason => reason;

    /// <summary>What it is counted as: a peer that closed over bytes nobody read left it dirty, whatever it was closed for.</summary>
    public CloseReason Reason => _isDirty ? CloseReason.ReturnedDirty : reason;

    /// <summary>Where it stands among the pool's closings, oldest first. Guarded by the pool's gate.</summary>
    public LinkedListNode<CloseRun> Place => field ??= new LinkedListNode<CloseRun>(this);

    /// <summary>Where it stands among the closings of all pools. Guarded by <c>SharedCap</c>'s lock.</summary>
    public LinkedListNode<CloseRun> CapPlace => field ??= new LinkedListNode<CloseRun>(this);

    /// <summary>Whoever queues for a place may count on this one's. Guarded by <c>SharedCap</c>'s lock.</summary>
    public bool FreesPlaceSoon { get; set; }

    /// <summary>An escalation ends it soon: not so where the client is to close first, which may wait for a token.</summary>
    public bool GivesWay => context.Settings.ClosesFirst != ClosesFirst.Client;

    /// <summary>It left a TIME-WAIT that nobody had a token for, because nothing else was allowed.</summary>
    public bool ExceededShare { get; private set; }

    /// <summary>Why it was closed the way it was; settled when the run starts.</summary>
    public string Why => _plan.Why ?? "";

    /// <summary>Quiet may take the place of what is planned: never where the user wants the client to close first.</summary>
    private bool MayBeQuiet =>
        context.Settings.ClosesFirst != ClosesFirst.Client && context.Settings.AllowQuietClose && connection.Transport.SupportsQuietClose;

    /// <summary>
    /// Somebody needs the place or the port: waits end now, and what is left is Quiet, or the plan's last resort where
    /// Quiet is off or missing. Takes no time. True when it gives way, now or since an earlier call; false when the client
    /// is to close first.
    /// </summary>
    public bool TryEscalate()
    {
        if (!GivesWay)
        {
            return false;
        }

        CancellationTokenSource? wait;
        TimeSpan grace;
        lock (_gate)
        {
            if (_escalated)
            {
                return true;
            }

            _escalated = true;
            wait = _wait;
            grace = _grace;
        }

        End(wait, grace);
        return true;
    }

    /// <summary>The pool shuts down: the server's own close is not waited for any more. Everything else is short, and goes on.</summary>
    public void Hurry()
    {
        CancellationTokenSource? wait;
        lock (_gate)
        {
            _hurried = true;
            wait = _awaitsPeer ? _wait : null;
        }

        End(wait, TimeSpan.Zero);
    }

    public void Execute() => _ = RunAsync();

    private async Task RunAsync()
    {
        CloseOutcome outcome;
        Activity? span = context.Telemetry.StartClose(connection.Facts);
        try
        {
            _socket = connection.Transport.BeginClosing();
            _farewell = context.FarewellOf(connection.Session);
            _plan = Decide();
            outcome = await WaitOutsideAsync().ConfigureAwait(false) ?? await CloseInLaneAsync().ConfigureAwait(false);
        }
        catch (Exception)
        {
            // The moves do not throw by contract. If one did, the descriptor and the books must be right all the same.
            connection.Transport.Close();
            outcome = new CloseOutcome(CloseMethod.Dispose, PeerFirst: false, TimeWaitIsOurs: _socket is { LeftTimeWait: true });
        }

        connection.Transport.Close();
        if (connection.InterruptReason is not null)
        {
            // The pool had aborted it under its lease; to the decision that looks like a reset of the peer's. If a close had
            // got as far as TIME-WAIT before, that stays (tcp-facts row 8).
            outcome = outcome with { Method = CloseMethod.Abort, PeerFirst = false };
        }

        PoolTelemetry.CloseEnded(span, CloseReasons.Name(Reason), outcome.Initiator, CloseMethods.Name(outcome.Method));

        if (outcome.TimeWaitIsOurs || outcome.PeerFirst || !_mayHaveCrossed)
        {
            Account(outcome.TimeWaitIsOurs);
            onClosed(this, outcome);
            return;
        }

        // Its place is free now; its port is in the books until the kernel has had the time to tell.
        TimeSpan needed = (2 * _roundTrip) + DelayedAck;
        Task settled = Task.Delay(needed < LongestSettling ? needed : LongestSettling, context.Time);
        onClosed(this, outcome);
        await settled.ConfigureAwait(false);
        Account(_socket.LeftTimeWait);
    }

    private void Account(bool timeWaitIsOurs)
    {
        PortDebt debt = !timeWaitIsOurs ? PortDebt.None : _hasToken ? PortDebt.TimeWaitByToken : PortDebt.TimeWait;
        if (_hasToken && debt != PortDebt.TimeWaitByToken)
        {
            context.Tokens.GiveBack();
        }

        ExceededShare = debt == PortDebt.TimeWait && _plan.ExceedsShare;
        context.Tokens.Closed(debt);
    }

    private ClosePlan Decide()
    {
        SocketFacts socket = _socket.ReadFacts(context.VanishedAfter);
        _roundTrip = socket.RoundTrip;

        // With bytes under way the connection's own limit holds: a peer that is slow to read is not gone.
        _limit = socket.HasUnsent ? null : context.Settings.DrainTimeout;
        bool peerClosed = socket.State != TcpSocketState.Close && TcpInfo.IsPeerClosed(socket.State);
        _isDirty = peerClosed && socket.HasUnread;
        return ShutdownPolicy.Decide(new CloseFacts
        {
            Reason = reason,
            State = socket.State == TcpSocketState.Close ? ConnectionState.Reset
                : peerClosed ? ConnectionState.PeerClosed
                : ConnectionState.Established,
            HasUnread = socket.HasUnread,
            HasUnsent = socket.HasUnsent,

            // Found so at rent: an ACK that came since does not make it a connection to be polite to.
            Vanished = socket.Vanished || reason == CloseReason.Vanished,
            GoodbyeKnown = !_farewell.IsEmpty || connection.Transport.HasCloseNotify,
            TokenAvailable = context.Tokens.IsAvailable,
            PortsExhausted = context.PortsExhausted,
            HasWaiters = context.HasWaiters,
            IsUnix = _socket.IsUnix,
            QuietSupported = _socket.QuietSupported,
            ClosesFirst = context.Settings.ClosesFirst,
            AllowQuietClose = context.Settings.AllowQuietClose,
            AllowAbort = context.Settings.AllowAbort,
        });
    }

    /// <summary>What only waits holds no place in the lane. An outcome when the server closed by itself.</summary>
    private async ValueTask<CloseOutcome?> WaitOutsideAsync()
    {
        if (_plan.First == CloseMethod.AwaitPeer)
        {
            lock (_gate)
            {
                _awaitsPeer = true;
            }

            try
            {
                return await WithinAsync(
                    context.PeerCloseTimeout,
                    token => CloseMoves.AwaitPeerAsync(_socket, CloseMethod.Passive, _limit, token)).ConfigureAwait(false);
            }
            finally
            {
                lock (_gate)
                {
                    _awaitsPeer = false;
                }

                // Ended by time or escalation, it may have been just when the server's own FIN left.
                _mayHaveCrossed = true;
            }
        }

        return _plan.WaitsForToken ? await WaitForTokenAsync().ConfigureAwait(false) : null;
    }

    /// <summary>For a minute at times; a peer that closes or resets meanwhile costs no token.</summary>
    private async ValueTask<CloseOutcome?> WaitForTokenAsync()
    {
        if (context.Tokens.TryTake())
        {
            _hasToken = true;
            return null;
        }

        using CancellationTokenSource end = new();
        Task taken = context.Tokens.TakeAsync(end.Token).AsTask();
        Task<CloseOutcome?> closed = CloseMoves.AwaitPeerAsync(_socket, CloseMethod.Passive, _limit, end.Token).AsTask();
        await Task.WhenAny(taken, closed).ConfigureAwait(false);
        await end.CancelAsync().ConfigureAwait(false);
        await taken.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _hasToken = taken.IsCompletedSuccessfully;
        if (await closed.ConfigureAwait(false) is { } outcome)
        {
            return outcome;
        }

        if (!_hasToken)
        {
            // More than 64 KB came: no goodbye of the peer's, and no reason to go without the token.
            await context.Tokens.TakeAsync(CancellationToken.None).ConfigureAwait(false);
            _hasToken = true;
        }

        return null;
    }

    private async ValueTask<CloseOutcome> CloseInLaneAsync()
    {
        // These take no time, so they need no place; and nothing may take theirs: a stream out of step is reset.
        if (_plan.First is CloseMethod.Passive or CloseMethod.Abort or CloseMethod.Dispose)
        {
            return (await TryAsync(_plan.First).ConfigureAwait(false)).GetValueOrDefault();
        }

        if (!context.Lane.TryEnter())
        {
            if (MayBeQuiet)
            {
                return await QuietAsync().ConfigureAwait(false);
            }

            await context.Lane.EnterAsync().ConfigureAwait(false);
        }

        try
        {
            return await TryAsync(_plan.First).ConfigureAwait(false)
                ?? await TryAsync(_plan.Second).ConfigureAwait(false)
                ?? await TryAsync(_plan.Third).ConfigureAwait(false)
                ?? await QuietAsync().ConfigureAwait(false);
        }
        finally
        {
            context.Lane.Leave();
        }
    }

    private async ValueTask<CloseOutcome?> TryAsync(CloseMethod method)
    {
        switch (method)
        {
            case CloseMethod.Passive:
                return CloseMoves.Passive(_socket, CloseMethod.Passive, _limit);

            case CloseMethod.Goodbye:
                // Once the farewell is on its way the server's FIN is, too: ours would cross it, and leave a TIME-WAIT at both
                // ends. So an escalation waits for the answer, as long as one takes.
                return await WithinAsync(
                    context.Settings.GoodbyeTimeout,
                    token =>
                    {
                        _mayHaveCrossed = true;
                        return CloseMoves.GoodbyeAsync(connection.Transport, _socket, _farewell, _limit, token);
                    },
                    grace: TimeSpan.FromTicks(Math.Max(ShortestGrace.Ticks, 3 * _roundTrip.Ticks))).ConfigureAwait(false);

            case CloseMethod.Graceful:
                _hasToken = _hasToken || context.Tokens.TryTake();
                return _hasToken || _plan.ExceedsShare ? await GracefulAsync().ConfigureAwait(false) : null;

            case CloseMethod.Quiet:
                return await QuietAsync().ConfigureAwait(false);

            case CloseMethod.Abort:
                // After a farewell the facts have changed: it may not have arrived yet.
                return _plan.First == CloseMethod.Abort || !_socket.ReadFacts(context.VanishedAfter).HasUnsent
                    ? CloseMoves.Abort(_socket)
                    : await GracefulAsync().ConfigureAwait(false);

            case CloseMethod.Dispose:
                return CloseMoves.Dispose(_socket, peerFirst: _plan.First == CloseMethod.Dispose && !_socket.IsUnix && reason != CloseReason.Vanished);

            default:
                // AwaitPeer, which had its turn outside the lane, or the end of the chain.
                return null;
        }
    }

    /// <summary>Where Quiet is off or missing an escalation does not cut it: that would be a quiet close by another name.</summary>
    private async ValueTask<CloseOutcome?> GracefulAsync()
    {
        return await WithinAsync(
            context.Settings.DrainTimeout,
            async token => await CloseMoves.GracefulAsync(connection.Transport, _socket, _limit, token).ConfigureAwait(false),
            canBeCut: MayBeQuiet).ConfigureAwait(false);
    }

    private async ValueTask<CloseOutcome> QuietAsync()
    {
        using CancellationTokenSource deadline = new(context.Settings.DrainTimeout, context.Time);
        return await CloseMoves.QuietAsync(connection.Transport, _socket, _limit, deadline.Token).ConfigureAwait(false);
    }

    /// <summary>
    /// One method under its own time, which an escalation cuts short after <paramref name="grace"/>. Null at once when one
    /// came before.
    /// </summary>
    private async ValueTask<CloseOutcome?> WithinAsync(
        TimeSpan limit, Func<CancellationToken, ValueTask<CloseOutcome?>> method, bool canBeCut = true, TimeSpan grace = default)
    {
        using CancellationTokenSource wait = new(limit, context.Time);
        lock (_gate)
        {
            if (canBeCut && (_escalated || (_awaitsPeer && _hurried)))
            {
                return null;
            }

            _wait = canBeCut ? wait : null;
            _grace = grace < limit ? grace : limit;
        }

        try
        {
            return await method(wait.Token).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
            {
                _wait = null;
            }
        }
    }

    private void End(CancellationTokenSource? wait, TimeSpan grace)
    {
        // Not here: cancelling runs continuations, and the caller may hold a pool's gate.
        if (wait is not null)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static end => _ = end.Run.CancelAsync(end.Wait, end.Grace), (Run: this, Wait: wait, Grace: grace), preferLocal: false);
        }
    }

    private async Task CancelAsync(CancellationTokenSource wait, TimeSpan grace)
    {
        if (grace > TimeSpan.Zero)
        {
            // Not CancelAfter: the method may be ending just now, and a timer is not to be armed while it is disposed.
            await Task.Delay(grace, context.Time).ConfigureAwait(false);
        }

        try
        {
            await wait.CancelAsync().ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // The method ended while we were coming.
        }
    }
}
