using System.Diagnostics;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>Closing: the one choke point through which a connection leaves, and what closes under way cost those who wait.</summary>
internal sealed partial class ConnectionPool
{
    // Under the gate only.
    private readonly long[] _closedBy = new long[CloseReasons.Count];
    private readonly long[] _closedByMethod = new long[CloseMethods.Count];
    private readonly LinkedList<CloseRun> _closings = new();
    private long _closedByPeer;
    private TaskCompletionSource? _drained;
    private TaskCompletionSource? _finished;
    private bool _hasDeadLinks;

    /// <summary>
    /// Closes a connection that the caller owns alone: taken from idle, ended, evicted, or fresh from a dial. Everything
    /// that leaves the pool leaves here, so the counts cannot drift.
    /// </summary>
    private void Remove(TcpConnection connection, CloseReason reason)
    {
        CloseRun run;
        lock (_gate)
        {
            run = TakeOut(connection, reason);
        }

        Services.Schedule(run);
    }

    /// <summary>
    /// <see cref="Remove"/> for a connection that is over a limit, that another pool's waiter needs the place of, or that a
    /// shutdown wants gone; false when nothing is so.
    /// Found and taken out under one gate: two returns that saw the same surplus would both leave.
    /// </summary>
    private bool TryRemoveSurplus(TcpConnection connection)
    {
        CloseRun run;

        // Before the gate: a fake clock may run due timers at any reading.
        TimeSpan? now = _cap.IsTight ? Services.Clock.Read() : null;
        lock (_gate)
        {
            if ((FindSurplus() ?? (YieldsToRetry() ? CloseReason.OverCapacity : YieldsToOthers(connection, now) ? CloseReason.SharedCap : null)) is not { } reason)
            {
                return false;
            }

            run = TakeOut(connection, reason);
        }

        Services.Schedule(run);
        return true;
    }

    /// <summary>Under the gate: from open to closing. The caller schedules the run, outside.</summary>
    private CloseRun TakeOut(TcpConnection connection, CloseReason reason)
    {
        connection.MarkClosed();
        Services.PeerWatch.Forget(connection);
        _open--;
        _closing++;
        connection.HasLeft = true;
        NoteOnly();
        _usesOfGone += connection.Uses;
        if (connection.Target is { } target)
        {
            target.Connections--;
        }

        // It may have been the last over the limit: left standing, the mark would have every return try to place what it has.
        RefreshDetour();
        _closedBy[(int)reason]++;
        Debug.Assert(_open >= 0, "No count is ever negative.");
        CloseRun run = NewCloseRun(connection, reason);
        _closings.AddLast(run.Place);
        _cap.BeginClosing(_share, run);
        if (_state != PoolState.Open)
        {
            run.Hurry();
        }

        // Whoever waits already may be waiting for just this place: nobody else would look.
        EscalateClosings();
        return run;
    }

    /// <summary>The descriptor is closed: only now is the connection's place given away, so the limit holds in the kernel, too.</summary>
    private void OnClosed(CloseRun run, CloseOutcome outcome)
    {
        TcpConnection connection = run.Connection;
        Dial? dials;
        CloseRun? room;

        // Before the gate: a fake clock may run due timers at any reading.
        TimeSpan now = Services.Clock.Read();

        // Before the books say so: when a client has closed its last connection, all that metrics tell of it is told.
        _telemetry.Closed(now - connection.CreatedAt, CloseReasons.Name(run.Reason), outcome.Initiator, CloseMethods.Name(outcome.Method));
        lock (_gate)
        {
            _closing--;
            Debug.Assert(_closing >= 0, "No count is ever negative.");
            _closings.Remove(run.Place);
            _cap.EndClosing(_share, run);
            _closedBy[(int)run.GivenReason]--;
            _closedBy[(int)run.Reason]++;
            if (!outcome.TimeWaitIsOurs)
            {
                // Its port is free again, or will be in one round trip.
                _portsHeldOff = false;
                _portFreedAt = now;
            }

            _closedByMethod[(int)outcome.Method]++;
            _closedByPeer += outcome.PeerFirst ? 1 : 0;
            Idle.Forget(connection);
            if (connection.Linked)
            {
                // Its number is in the stack still; the next sweep cleans up behind it.
                connection.IsBuried = true;
                _hasDeadLinks = true;
            }
            else
            {
                _table.Remove(connection);
            }

            RefreshDetour();
            dials = PlanDials();
            room = MakeRoomForRetry();
            CompleteDrainIfEmpty();
        }

        Launch(dials);
        if (room is not null)
        {
            Services.Schedule(room);
        }

        if (run.Reason == CloseReason.PeerIdleLimit)
        {
            NoteLimitEnd(connection, outcome.PeerFirst);
        }

        EndSleep();
        if (_settings.MinIdleConnections > 0)
        {
            Services.Maintenance.Request(this);
        }

        // Last, when the books are in order: a log sink is not ours, and may be slow.
        if (run.ExceededShare)
        {
            PoolLog.ShareExceeded(Log, Name);
        }

        PoolLog.Closed(
            Log,
            Name,
            connection.Id,
            (now - connection.CreatedAt).TotalSeconds,
            connection.Uses,
            CloseReasons.Name(run.Reason),
            CloseMethods.Name(outcome.Method),
            outcome.Initiator,
            run.Why);
    }

    private CloseRun NewCloseRun(TcpConnection connection, CloseReason reason)
    {
        PoolSettings settings = _settings;
        PortAccount? account = connection.Transport.PortAccount;
        if (account is not null)
        {
            Services.Ports.Ledger.Closing(account);
        }

        return new CloseRun(
            connection,
            reason,
            new CloseContext
            {
                Settings = settings.Shutdown,
                Goodbye = Hooks.Goodbye,
                Tokens = TokensFor(account),
                Lane = Services.Lane,
                Time = Services.Clock.Time,
                Telemetry = _telemetry,
                VanishedAfter = connection.VanishedAfter,
                PeerCloseTimeout = reason == CloseReason.PeerIdleLimit ? LearnedCloseTimeout(connection) : settings.Shutdown.ServerCloseTimeout,
                PortsExhausted = _portsExhausted is not null,
                HasWaiters = _waiters.Count > 0,
            },
            OnClosed);
    }

    private PortTokens TokensFor(PortAccount? account) =>
        new(Services.Ports.Ledger, account, account is null ? 0 : TokensOf(_settings, account.Usable), Services.Clock.Time);

    /// <summary>
    /// With the client to close first there is no close without a token, so there is one at least: validation sees to it for
    /// the range it knows of, but this host's may be smaller, or shrink.
    /// </summary>
    private static int TokensOf(PoolSettings settings, int usable) =>
        Math.Max(settings.Ports.TokensOf(usable), settings.Shutdown.ClosesFirst == ClosesFirst.Client ? 1 : 0);

    /// <summary>
    /// Under the gate: whoever waits and can have neither an idle connection nor a dial pre-empts a closing one, the oldest
    /// first. It cannot be served sooner by anything else. Each of them one: those pre-empted before are on their way.
    /// </summary>
    private void EscalateClosings()
    {
        int lacking = _waiters.Count - _waiters.Dialed;
        if (lacking == 0 || _closings.Count == 0 || (Live < _settings.MaxConnections && _portsExhausted is null))
        {
            return;
        }

        foreach (CloseRun run in _closings)
        {
            // One that was asked to before, and has not ended yet, makes room for one of them already.
            if (run.TryEscalate() && --lacking == 0)
            {
                return;
            }
        }
    }

    /// <summary>Under the gate: why a connection that is nobody's should go: the pool shuts down, or the limit was lowered.</summary>
    private CloseReason? FindSurplus() =>
        _state != PoolState.Open && _waiters.OldestForUsed is null ? CloseReason.PoolShutdown
        : IsOverLimit ? CloseReason.OverCapacity
        : null;

    /// <summary>Under the gate: nobody waits for a server's own close any more.</summary>
    private void HurryClosings()
    {
        foreach (CloseRun run in _closings)
        {
            run.Hurry();
        }
    }

    /// <summary>
    /// Completes when no close is under way, each of which has its deadline; for the end of a client, which then has left
    /// nothing behind.
    /// </summary>
    public Task FinishClosingAsync()
    {
        lock (_gate)
        {
            if (_closing == 0)
            {
                return Task.CompletedTask;
            }

            _finished ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _finished.Task;
        }
    }

    private void CompleteDrainIfEmpty()
    {
        if (_closing == 0)
        {
            _finished?.TrySetResult();
            _finished = null;
        }

        if (_state != PoolState.Open && Live == 0)
        {
            _drained?.TrySetResult();
        }
    }
}
