using System.Diagnostics;
using PooledTcp.Connections;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>Waiting: the queue, the hand-off, and every way out of the queue.</summary>
internal sealed partial class ConnectionPool
{
    private ITimer? _deadlineTimer;
    private TimeSpan _deadlineTimerDue = TimeSpan.MaxValue;
    private long _retries;

    /// <summary>
    /// The rent that found nothing warm: it joins the queue, and the planner may start a dial. False when an ad hoc pool
    /// was retired just now; the caller then asks for the pool again.
    /// </summary>
    public bool TryEnqueue(TimeSpan? timeout, CancellationToken cancellationToken, out ValueTask<TcpLease> rent)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            rent = ValueTask.FromCanceled<TcpLease>(cancellationToken);
            return true;
        }

        TimeSpan now = Services.Clock.Read();
        Waiter waiter = NewWaiter(timeout ?? _settings.RentTimeout, now, cancellationToken);
        while (true)
        {
            Exception? refusal = null;
            TcpConnection? connection = null;
            Dial? dials = null;
            bool waits = false;
            lock (_gate)
            {
                _routes.Advance(now);
                if (_state == PoolState.Retired)
                {
                    waiter.Recycle();
                    rent = default;
                    return false;
                }

                if (_state != PoolState.Open)
                {
                    refusal = ClosedError();
                }
                else if ((_warm.Detour & Detour.ConcernsRents) == Detour.None && (connection = Idle.TryTake()) is not null)
                {
                    // The sweep had the stack in its hands when the warm path looked.
                }
                else if (IsUnreachable())
                {
                    refusal = BreakerError(now);
                    _rentsRefused++;
                }
                else if (_waiters.Count - _waiters.Dialed >= _settings.MaxWaiters && !CanDialForNewcomer())
                {
                    refusal = QueueFullError();
                    _rentsRefused++;
                }
                else
                {
                    waits = true;
                    NoteState(waiter);
                    _waiters.Enqueue(waiter);
                    RefreshDetour();
                    ArmDeadlineTimer(waiter.Deadline, now);

                    // The queue shows the waiter; now look whether a connection came back before its returner could see that,
                    // and plan if not. Under this same gate: with one of its own for the plan, and one more at the return (TryPlace), 64
                    // callers over 32 connections took 14 % longer.
                    connection = TakeForWaiters();
                    dials = connection is null ? PlanDials() : null;
                }
            }

            if (waits)
            {
                // Before it is told of anything else: once it is served and awaited, the waiter belongs to another rent.
                rent = waiter.Task;
                if (connection is not null)
                {
                    Offer(connection);
                    ServeFromIdle();
                    dials = Plan();
                }

                Launch(dials);
                waiter.WatchCancellation();
                return true;
            }

            if (refusal is not null)
            {
                waiter.Recycle();
                _telemetry.RentRefused(refusal);
                rent = ValueTask.FromException<TcpLease>(refusal);
                return true;
            }

            if (IsUsable(connection!))
            {
                rent = new ValueTask<TcpLease>(new TcpLease(Lend(connection!, waiter.Renter)));
                waiter.Recycle();
                return true;
            }
        }
    }

    /// <summary>
    /// A second connection for an exchange whose reused one failed under it: a new one, since all idle ones may have died of
    /// the same cause. Call it before the failed lease ends: the place under MaxConnections that the failed connection leaves
    /// is then this waiter's, which stands in front of the queue. The one under MaxTotalConnections goes round the keys: while
    /// others queue, this pool does so, too. False when the pool dials for nobody: it is paused or closes, or its breaker is
    /// open. The first failure is then the answer.
    /// </summary>
    public bool TryEnqueueRetry(CancellationToken cancellationToken, out ValueTask<TcpLease> rent)
    {
        TimeSpan now = Services.Clock.Read();
        Waiter waiter = NewWaiter(_settings.RentTimeout, now, cancellationToken);
        Dial? dials;
        lock (_gate)
        {
            _routes.Advance(now);
            if (_state != PoolState.Open || _paused || (!_routes.LetsThrough && _orphans.Count == 0))
            {
                waiter.Recycle();
                rent = default;
                return false;
            }

            // MaxWaiters does not count it: there are no more retries than connections, and the queue had let it in before.
            NoteState(waiter);
            _waiters.EnqueueRetry(waiter);
            RefreshDetour();
            ArmDeadlineTimer(waiter.Deadline, now);
            dials = PlanDials();
        }

        rent = waiter.Task;
        Launch(dials);
        waiter.WatchCancellation();
        return true;
    }

    /// <summary>Prepared before the gate: it takes a while, and the clocks and listeners that are asked are others' code.</summary>
    private Waiter NewWaiter(TimeSpan limit, TimeSpan now, CancellationToken cancellationToken)
    {
        Waiter waiter = SpareWaiters.Take();
        waiter.Prepare(this, now, limit, CaptureRenter(), cancellationToken);
        bool isTraced = PoolTelemetry.TracesWaits;
        if (isTraced || _telemetry.ObservesRents)
        {
            waiter.Facts = new WaitFacts(Activity.Current, isTraced, isTraced ? Services.Clock.Time.GetUtcNow() : default, Pool: null);
        }

        return waiter;
    }

    /// <summary>The caller's token fired. Loses against a hand-off that removed the waiter first; then the lease is the caller's.</summary>
    public void Cancel(Waiter waiter)
    {
        Dial? dials;

        // Here and below, before the gate: a fake clock may run due timers at any reading.
        TimeSpan now = Services.Clock.Read();
        lock (_gate)
        {
            if (!waiter.IsQueued)
            {
                return;
            }

            Dequeue(waiter, now);
            dials = PlanDials();
        }

        waiter.Fail(new OperationCanceledException(waiter.CancellationToken));
        Launch(dials);
    }

    /// <summary>
    /// Pairs idle connections with waiters, and closes idle ones that a shutdown or a lowered limit wants gone. Whoever
    /// published a connection, a waiter or a change of state calls it.
    /// </summary>
    private void ServeFromIdle()
    {
        while (TakeForWaiters() is { } connection)
        {
            Offer(connection);
        }
    }

    private TcpConnection? TakeForWaiters() => (_warm.Detour & Detour.ConcernsReturns) == Detour.None ? null : Idle.TryTake();

    private void Offer(TcpConnection connection)
    {
        connection.TakeBack();
        if (TryPlace(connection))
        {
            return;
        }

        // Nobody wanted it after all.
        long version = Publish(connection);
        NoteIdle();
        RemoveIfOutdated(connection, version);
    }

    /// <summary>Gives a connection that the pool owns, parked and checked, to the oldest waiter. False when nobody may be served.</summary>
    private bool TryHandOver(TcpConnection connection)
    {
        Waiter? waiter;
        Dial? dials;
        TimeSpan now = (_warm.Detour & Detour.Waiters) != Detour.None ? Services.Clock.Read() : Services.Clock.Coarse;
        lock (_gate)
        {
            waiter = _waiters.OldestForUsed;
            if (waiter is null || _paused || connection.Generation != _generation || (_warm.Detour & Detour.Shrinking) != Detour.None)
            {
                return false;
            }

            Lend(connection, waiter, now);
            dials = PlanDials();
        }

        waiter.Succeed(connection);
        Launch(dials);
        return true;
    }

    /// <summary>Under the gate: the waiter leaves the queue and the connection is its own; the caller completes it outside.</summary>
    private void Lend(TcpConnection connection, Waiter waiter, TimeSpan now)
    {
        Dequeue(waiter, now);
        _rentsWaited++;
        connection.LendDirectly();
        connection.BeginLease(waiter.Renter, waiter.Facts is not null);
    }

    /// <summary>Under the gate. The waiter's dial goes on without it and is free for another.</summary>
    private void Dequeue(Waiter waiter, TimeSpan now)
    {
        _waiters.Remove(waiter);

        // Another thread may have read its clock before this waiter came, and the gate after.
        waiter.WaitedFor = now > waiter.EnqueuedAt ? now - waiter.EnqueuedAt : TimeSpan.Zero;
        _waitTime = _waitTime.Plus(waiter.WaitedFor);
        if (waiter.Dial is { } dial)
        {
            _waiters.Unlink(waiter);
            _orphans.Add(dial);
        }

        RefreshDetour();
    }

    /// <summary>Under the gate. A full fence: see the remarks on lost wake-ups.</summary>
    private void RefreshDetour()
    {
        Detour detour = Detour.None;
        if (_waiters.OldestForUsed is not null && !_paused)
        {
            detour |= Detour.Waiters;
        }

        if (_paused)
        {
            detour |= Detour.Paused;
        }

        if (IsOverLimit || _retryLacksPlace)
        {
            detour |= Detour.Shrinking;
        }

        if (_state != PoolState.Open)
        {
            detour |= Detour.Refusing;
        }

        if (_settings.Health.CaptureLeaseStacks || _telemetry.TracesLeases)
        {
            detour |= Detour.Told;
        }

        if (_warm.Detour != detour)
        {
            _warm.Detour = detour;
            Interlocked.MemoryBarrier();
        }
    }

    /// <summary>Under the gate.</summary>
    private void ArmDeadlineTimer(TimeSpan deadline, TimeSpan now)
    {
        if (deadline >= _deadlineTimerDue)
        {
            return;
        }

        _deadlineTimerDue = deadline;
        _deadlineTimer ??= Services.Clock.CreateTimer(static pool => ((ConnectionPool)pool!).ExpireWaiters(), this, Timeout.InfiniteTimeSpan);

        // Timers count whole milliseconds and may fire a little early: round up, so that the callback finds someone.
        double due = Math.Ceiling((deadline - now).TotalMilliseconds);
        _deadlineTimer.Change(TimeSpan.FromMilliseconds(Math.Clamp(due, 0, int.MaxValue)), Timeout.InfiniteTimeSpan);
    }

    private void ExpireWaiters()
    {
        List<Waiter>? expired = null;
        Dial? dials;
        TimeSpan now = Services.Clock.Read();
        lock (_gate)
        {
            Waiter? waiter = _waiters.Oldest;
            while (waiter is not null)
            {
                Waiter? next = waiter.Next;
                if (waiter.Deadline <= now)
                {
                    Dequeue(waiter, now);
                    (expired ??= []).Add(waiter);
                }

                waiter = next;
            }

            _deadlineTimerDue = TimeSpan.MaxValue;
            ArmDeadlineTimer(_waiters.EarliestDeadline(), now);
            dials = PlanDials();
        }

        Launch(dials);
        if (expired is not null)
        {
            Interlocked.Add(ref _rentTimeouts, expired.Count);
            _telemetry.RentsTimedOut(expired.Count);
            foreach (Waiter waiter in expired)
            {
                waiter.Fail(TimeoutError(waiter.Timeout));
            }
        }
    }

    /// <summary>Under the gate: takes everybody out of the queue, for a pool that closes.</summary>
    private List<Waiter> DequeueAll(TimeSpan now)
    {
        List<Waiter> all = [];
        while (_waiters.Oldest is { } waiter)
        {
            Dequeue(waiter, now);
            all.Add(waiter);
        }

        Debug.Assert(_waiters.Dialed == 0, "Nobody waits, so no dial is for anybody.");
        return all;
    }
}
