using PooledTcp.Connections;
using PooledTcp.Ports;

namespace PooledTcp.Shutdown;

/// <summary>
/// One close, from the decision to the closed descriptor. Parts that only wait (for a token, for the server's own FIN) run
/// outside the lane; the rest holds a place in it and ends by its deadlines.
/// </summary>
internal sealed class CloseRun(TcpConnection connection, CloseReason reason, CloseContext context, Action<CloseRun, CloseOutcome> onClosed)
    : IThreadPoolWorkItem
{
    private readonly Lock _gate = new();

    // Set when the run starts: off the caller's path, and outside the pool's gate.
    private IClosingSocket _socket = null!;
    private ReadOnlyMemory<byte> _farewell;
    private ClosePlan _plan;
    private CancellationTokenSource? _wait;
    private bool _awaitsPeer;
    private bool _hurried;
    private bool _escalated;
    private bool _hasToken;

    public TcpConnection Connection => connection;

    public CloseReason Reason => reason;

    /// <summary>Where it stands among the pool's closings, oldest first. Guarded by the pool's gate.</summary>
    public LinkedListNode<CloseRun> Place => field ??= new LinkedListNode<CloseRun>(this);

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
        if (context.Settings.ClosesFirst == ClosesFirst.Client)
        {
            return false;
        }

        CancellationTokenSource? wait;
        lock (_gate)
        {
            if (_escalated)
            {
                return true;
            }

            _escalated = true;
            wait = _wait;
        }

        End(wait);
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

        End(wait);
    }

    public void Execute() => _ = RunAsync();

    private async Task RunAsync()
    {
        CloseOutcome outcome;
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
            // The pool had aborted it under its lease; to the decision that looks like a reset of the peer's.
            outcome = new CloseOutcome(CloseMethod.Abort, PeerFirst: false, TimeWaitIsOurs: false);
        }

        PortDebt debt = !outcome.TimeWaitIsOurs ? PortDebt.None : _hasToken ? PortDebt.TimeWaitByToken : PortDebt.TimeWait;
        if (_hasToken && debt != PortDebt.TimeWaitByToken)
        {
            context.Tokens.GiveBack();
        }

        ExceededShare = debt == PortDebt.TimeWait;
        context.Tokens.Closed(debt);
        onClosed(this, outcome);
    }

    private ClosePlan Decide()
    {
        SocketFacts socket = _socket.ReadFacts(context.VanishedAfter);
        return ShutdownPolicy.Decide(new CloseFacts
        {
            Reason = reason,
            State = socket.State == TcpSocketState.Close ? ConnectionState.Reset
                : TcpInfo.IsPeerClosed(socket.State) ? ConnectionState.PeerClosed
                : ConnectionState.Established,
            HasUnread = socket.HasUnread,
            HasUnsent = socket.HasUnsent,
            Vanished = socket.Vanished,
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

    /// <summary>What only waits holds no place in the context.Lane. An outcome when the server closed by itself.</summary>
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
                    context.Settings.ServerCloseTimeout,
                    token => CloseMoves.AwaitPeerAsync(_socket, CloseMethod.Passive, token)).ConfigureAwait(false);
            }
            finally
            {
                lock (_gate)
                {
                    _awaitsPeer = false;
                }
            }
        }

        if (_plan.WaitsForToken)
        {
            await context.Tokens.TakeAsync().ConfigureAwait(false);
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
                return CloseMoves.Passive(_socket, CloseMethod.Passive);

            case CloseMethod.Goodbye:
                return await WithinAsync(
                    context.Settings.GoodbyeTimeout,
                    token => CloseMoves.GoodbyeAsync(connection.Transport, _socket, _farewell, token)).ConfigureAwait(false);

            case CloseMethod.Graceful:
                _hasToken = _hasToken || context.Tokens.TryTake();
                return _hasToken || _plan.ExceedsShare
                    ? await WithinAsync(
                        context.Settings.DrainTimeout,
                        async token => await CloseMoves.GracefulAsync(connection.Transport, _socket, context.Settings.DrainTimeout, token).ConfigureAwait(false),
                        isLastResort: !MayBeQuiet).ConfigureAwait(false)
                    : null;

            case CloseMethod.Quiet:
                return await QuietAsync().ConfigureAwait(false);

            case CloseMethod.Abort:
                return CloseMoves.Abort(_socket);

            case CloseMethod.Dispose:
                return CloseMoves.Dispose(_socket, peerFirst: _plan.First == CloseMethod.Dispose && !_socket.IsUnix);

            default:
                // AwaitPeer, which had its turn outside the lane, or the end of the chain.
                return null;
        }
    }

    private async ValueTask<CloseOutcome> QuietAsync()
    {
        using CancellationTokenSource deadline = new(context.Settings.DrainTimeout, context.Time);
        return await CloseMoves.QuietAsync(connection.Transport, _socket, context.Settings.DrainTimeout, deadline.Token).ConfigureAwait(false);
    }

    /// <summary>
    /// One method under its own time, which an escalation cuts short. Null at once when one came before; but the last resort
    /// has its turn even then, without waiting.
    /// </summary>
    private async ValueTask<CloseOutcome?> WithinAsync(
        TimeSpan limit, Func<CancellationToken, ValueTask<CloseOutcome?>> method, bool isLastResort = false)
    {
        using CancellationTokenSource wait = new(limit, context.Time);
        bool isCut;
        lock (_gate)
        {
            isCut = _escalated || (_awaitsPeer && _hurried);
            if (isCut && !isLastResort)
            {
                return null;
            }

            _wait = wait;
        }

        if (isCut)
        {
            TryCancel(wait);
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

    private static void End(CancellationTokenSource? wait)
    {
        // Not here: cancelling runs continuations, and the caller may hold a pool's gate.
        if (wait is not null)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static w => TryCancel(w), wait, preferLocal: false);
        }
    }

    private static void TryCancel(CancellationTokenSource wait)
    {
        try
        {
            wait.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The method ended while we were coming.
        }
    }
}
