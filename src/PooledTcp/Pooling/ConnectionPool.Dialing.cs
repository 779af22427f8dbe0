using System.Diagnostics;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Health;
using PooledTcp.Ports;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// Dialing: which dials run, for whom, and what becomes of them. A dial belongs to the pool. Each waiter has at most one
/// attempt running for it, MaxConnecting run at a time, and whatever connection comes first, from a dial or from a return,
/// goes to the oldest waiter.
/// </summary>
internal sealed partial class ConnectionPool
{
    // Under the gate only.
    private readonly HashSet<Dial> _dials = new(capacity: 1);
    private readonly List<Dial> _orphans = new(capacity: 1);
    private readonly List<WarmUp> _warmUps = new(capacity: 1);
    private Exception? _lastConnectError;
    private string? _lastConnectErrorText;
    private TimeSpan _lastConnectErrorAt;
    private long _created;
    private long _dialsFailed;

    private int Live => _open + _connecting + _closing;

    /// <summary>Under the gate: MaxConnections was lowered and is not reached yet.</summary>
    private bool IsOverLimit => _open + _connecting > _settings.MaxConnections;

    /// <param name="transport">What was dialed.</param>
    /// <param name="dial">By whom.</param>
    /// <param name="settings">On which it was dialed: they may have changed since.</param>
    public TcpConnection NewConnection(Transport transport, Dial dial, PoolSettings settings)
    {
        double factor = 1 - (_settings.LifetimeJitter * Services.NextRandom());
        TcpConnection connection = new(PoolServices.NextConnectionId(), Name, transport, _warm, dial.Generation, factor, Services.Clock)
        {
            Target = dial.Plan.Race.Winner,
            Setup = dial.Setup,
            VanishedAfter = settings.Socket.KeepAliveTotal,
        };
        if (Hooks.Reset is not null)
        {
            connection.Mark(Marks.ReturnsCarefully);
        }

        return connection;
    }

    public void DialSucceeded(Dial dial, TcpConnection connection)
    {
        Waiter? waiter = null;
        Dial? dials;
        List<WarmUp>? warm;
        bool unwanted;
        bool isBarred;
        TimeSpan now = Services.Clock.Read();
        BreakerChange breaker;
        connection.JoinedAt = now;
        lock (_gate)
        {
            breaker = Judge(dial, error: null, now);
            EndDial(dial);
            _open++;
            _created++;
            _createTime = _createTime.Plus(now - dial.StartedAt);
            _portsExhausted = null;
            _portsHeldOff = false;
            NoteAccount(connection.Transport.PortAccount);
            _table.Add(connection);
            NoteOnly();
            connection.MaxUses = _settings.MaxUses;
            connection.Mark(Marks.Unwatched);
            if (connection.Target is { } target)
            {
                target.Connections++;
                if (target.IsRemoved)
                {
                    // It left the name while it was dialed: nobody else comes by to mark it.
                    connection.Mark(Marks.Outdated);
                }
            }

            unwanted = dial.Generation != _generation || _state == PoolState.Closed;

            // A retry is part of an exchange that is running, and a pause lets those go on.
            Waiter? retry = _waiters.OldestRetry;
            if (!unwanted && !IsOverLimit && !_cap.IsOver && (_paused ? retry : _waiters.Oldest) is { } oldest)
            {
                _retries += ReferenceEquals(oldest, retry) ? 1 : 0;
                waiter = oldest;
                Lend(connection, oldest, now);
            }

            // One that closes at once warms nobody.
            warm = unwanted ? null : TakeFinishedWarmUps();
            dials = PlanDials();
            isBarred = !_routes.LetsThrough;
        }

        if (unwanted)
        {
            Remove(connection, _generationReason);
        }
        else if (waiter is not null)
        {
            if (connection.IsMarked(Marks.ReturnsCarefully))
            {
                // What its returns do before anybody looks at it, TLS and the reset hook, must not meet a peer that has gone.
                Watch(connection);
            }

            waiter.Succeed(connection);
        }
        else
        {
            Recycle(connection);
        }

        warm?.ForEach(static w => w.Done.TrySetResult());
        Launch(dials);
        if (isBarred)
        {
            // Its address may have left the name meanwhile: then the others are what the next waiter depends on.
            ArmBreakerTimer(now);
        }

        EndQuietSoon();
        Services.Maintenance.Request(this);
        Tell(breaker);
        PoolLog.Opened(Log, Name, connection.Id);
    }

    public void DialFailed(Dial dial, Exception exception)
    {
        if (exception is NoLocalPortException noPort)
        {
            DialFoundNoPort(dial, noPort);
            return;
        }

        Waiter? waiter = null;
        Dial? dials;
        List<WarmUp>? warm = null;
        List<Waiter>? stranded = null;
        BreakerChange breaker = BreakerChange.None;
        bool cancelled;

        // Before the gate: a fake clock may run due timers at any reading, the one that expires this very waiter among them.
        TimeSpan now = Services.Clock.Read();

        // Before the gate, too: the exception may be a hook's own, and so is its text.
        string told = Describe(exception);
        lock (_gate)
        {
            // Given up by Clear, by new settings or by the shutdown: its waiter, if it has one, gets another dial.
            waiter = dial.Waiter;
            cancelled = dial.Generation != _generation || _state == PoolState.Closed || (_state == PoolState.Draining && waiter is null);
            EndDialLinks(dial);
            if (cancelled)
            {
                EndpointRoutes.Release(dial.Plan);
            }
            else
            {
                breaker = Judge(dial, exception, now);
                _lastConnectError = exception;
                _lastConnectErrorText = told;
                _lastConnectErrorAt = now;

                // It came past the choice of a port, or never got there: in either case ports are not what is wrong now.
                _portsExhausted = null;
                _portsHeldOff = false;
                _dialsFailed++;
                _topUpFailed = true;
                if (dial.IsInherited)
                {
                    // Started for somebody who has left: the heir stays in the queue, and the planner dials for it.
                    waiter = null;
                }
                else if (waiter is not null)
                {
                    // Out of the queue before the permit is free: or the next dial would be for the same waiter.
                    Dequeue(waiter, now);
                }

                warm = TakeWarmUps();
            }

            _connecting--;
            _cap.GiveBack(_share);
            stranded = TakeStranded(now);
            RefreshDetour();
            dials = PlanDials();
            CompleteDrainIfEmpty();
        }

        Launch(dials);
        AwaitServer(now, mayHaveMoved: !cancelled);

        // After the timer was armed: either dials are let through by now, or the end of the pause looks again.
        CloseForRetry();
        Services.Maintenance.Request(this);
        stranded?.ForEach(w => w.Fail(StrandedError(now)));
        if (!cancelled)
        {
            waiter?.Fail(UnavailableError(exception, told));
            warm?.ForEach(w => w.Done.TrySetException(UnavailableError(exception, told)));
            Tell(breaker);
            PoolLog.DialFailed(Log, exception, Name);
        }
    }

    /// <summary>Opens connections until <paramref name="count"/> are open (idle or used). False when the pool is retired.</summary>
    public bool TryWarmUp(int count, CancellationToken cancellationToken, out Task task)
    {
        Dial? dials;
        WarmUp warmUp = new(count);
        TimeSpan now = Services.Clock.Read();
        lock (_gate)
        {
            _routes.Advance(now);
            if (_state == PoolState.Retired)
            {
                task = Task.CompletedTask;
                return false;
            }

            if (_state != PoolState.Open || Services.IsStopping)
            {
                task = Task.FromException(ClosedError());
                return true;
            }

            ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Reach);
            ExpectUse(count);
            if (_open >= count)
            {
                task = Task.CompletedTask;
                return true;
            }

            if (IsUnreachable())
            {
                task = Task.FromException(BreakerError(now));
                return true;
            }

            _warmUps.Add(warmUp);
            dials = PlanDials();
        }

        Launch(dials);
        task = WaitForWarmUpAsync(warmUp, cancellationToken);
        return true;
    }

    /// <summary>Dials for MinIdleConnections, as far as the limits let it. Called by maintenance.</summary>
    private void TopUpIdle()
    {
        Dial? first = null;
        lock (_gate)
        {
            if (_state == PoolState.Open && !_paused && !Services.IsStopping && _settings.MinIdleConnections > 0)
            {
                // One that is on its way to idle counts: a look that falls between the end of a dial and the
                // publication of its connection would dial for it again.
                int missing = _settings.MinIdleConnections - CountIdle(orOnTheWay: true) - _orphans.Count;
                while (missing-- > 0 && CanDial() && _cap.TryTake(_share, waits: false))
                {
                    first = NewDial(first);
                    _orphans.Add(first);
                }
            }
        }

        Launch(first);
    }

    private Dial? Plan()
    {
        lock (_gate)
        {
            return PlanDials();
        }
    }

    /// <summary>
    /// Under the gate: gives every waiter without a dial one that runs for nobody, or starts one while permits and the
    /// limit last; then the same for warm-ups. Returns the new dials, linked, for <see cref="Launch"/>.
    /// </summary>
    private Dial? PlanDials()
    {
        Dial? first = null;
        if (_paused || _state is PoolState.Closed or PoolState.Retired)
        {
            LeaveCapIfServed();
            return first;
        }

        // Dialed < Count first: the usual pass has nothing to do and walks nothing.
        while (_waiters.Dialed < _waiters.Count && (_orphans.Count > 0 || (CanDial() && _cap.TryTake(_share, waits: true))))
        {
            Waiter waiter = _waiters.OldestWithoutDial()!;
            if (_orphans.Count > 0)
            {
                // The longest-running one: it is the nearest to its end.
                _orphans[0].IsInherited = true;
                _waiters.Link(waiter, _orphans[0]);
                _orphans.RemoveAt(0);
            }
            else
            {
                first = NewDial(first);
                _waiters.Link(waiter, first);
            }
        }

        foreach (WarmUp warmUp in _warmUps)
        {
            while (_open + _connecting < warmUp.Count && CanDial() && _cap.TryTake(_share, waits: false))
            {
                first = NewDial(first);
                _orphans.Add(first);
            }
        }

        LeaveCapIfServed();
        EscalateClosings();
        return first;
    }

    /// <summary>
    /// The pool's own limits; the place over all keys is taken after them. While ports are exhausted one dial at a time
    /// finds out whether that is over, and none while it is held off or the breaker is open.
    /// </summary>
    private bool CanDial() =>
        _connecting < (_portsExhausted is null ? _settings.MaxConnecting : 1)
        && Live < _settings.MaxConnections
        && !_portsHeldOff
        && _routes.LetsThrough;

    /// <summary>Under the gate: true when one more waiter would get a dial at once, so that it does not count as queued.</summary>
    private bool CanDialForNewcomer() => !_paused && _waiters.Dialed == _waiters.Count && (_orphans.Count > 0 || (CanDial() && _cap.HasRoomFor(_share)));

    /// <summary>Under the gate, with a place taken.</summary>
    private Dial NewDial(Dial? next)
    {
        Debug.Assert(CanDial(), "A dial holds a permit and a place under the limits.");
        Dial dial = new(this, _settings, _generation, _routes, _names) { NextToLaunch = next };
        _connecting++;
        _dials.Add(dial);
        return dial;
    }

    private static void Launch(Dial? first)
    {
        while (first is not null)
        {
            Dial? next = first.NextToLaunch;
            first.NextToLaunch = null;
            ThreadPool.UnsafeQueueUserWorkItem(first, preferLocal: false);
            first = next;
        }
    }

    private void EndDial(Dial dial)
    {
        EndDialLinks(dial);
        _connecting--;
        Debug.Assert(_connecting >= 0, "No count is ever negative.");
    }

    private void EndDialLinks(Dial dial)
    {
        _dials.Remove(dial);
        if (dial.Waiter is { } waiter)
        {
            _waiters.Unlink(waiter);
        }
        else
        {
            _orphans.Remove(dial);
        }
    }

    private List<WarmUp>? TakeFinishedWarmUps()
    {
        if (_warmUps.Count == 0)
        {
            return null;
        }

        List<WarmUp> finished = _warmUps.FindAll(w => w.Count <= _open);
        _warmUps.RemoveAll(finished.Contains);
        return finished;
    }

    private List<WarmUp>? TakeWarmUps(int above = 0)
    {
        if (_warmUps.Count == 0)
        {
            return null;
        }

        List<WarmUp> taken = _warmUps.FindAll(w => w.Count > above);
        _warmUps.RemoveAll(taken.Contains);
        return taken;
    }

    private async Task WaitForWarmUpAsync(WarmUp warmUp, CancellationToken cancellationToken)
    {
        try
        {
            await warmUp.Done.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
            {
                _warmUps.Remove(warmUp);
            }

            // If it failed while its caller was leaving, nobody else will look.
            warmUp.Done.Task.ObserveFault();
        }
    }

    /// <summary>Somebody wants <paramref name="count"/> connections open.</summary>
    private sealed class WarmUp(int count)
    {
        public int Count { get; } = count;

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
