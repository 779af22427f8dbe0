using PooledTcp.Connections;

namespace PooledTcp.Pooling;

/// <summary>
/// Looking for idle connections that give way, least recently used first: a walk over the pools that hold places, on the
/// thread pool, one at a time. It runs when a pool begins to lack a place, and then whenever the next idle one has been so
/// for a turn; while nobody queues, never.
/// </summary>
internal sealed partial class SharedCap
{
    private readonly PoolClock _clock;
    private readonly ITimer _timer;

    /// <summary>A walk is on its way or running.</summary>
    private bool _isLooking;

    /// <summary>Somebody began to lack a place while it ran.</summary>
    private bool _lookAgain;

    /// <summary>A connection went idle while it ran.</summary>
    private bool _sawNewIdle;

    /// <summary>The next walk is timed: nothing will be ripe before.</summary>
    private bool _isTimed;

    /// <summary>The last walk found nothing idle, and nothing has become so since.</summary>
    private bool _isBarren;

    /// <summary>For tests that must know whether what was idle has been looked at.</summary>
    public bool IsLooking
    {
        get
        {
            lock (_lock)
            {
                return _isLooking;
            }
        }
    }

    /// <summary>A connection went idle while pools queue: it has a turn. Called outside every lock, after its publication.</summary>
    public void NoteIdle()
    {
        lock (_lock)
        {
            _isBarren = false;
            if (_isLooking)
            {
                _sawNewIdle = true;
                return;
            }

            if (_isTimed || !IsLacking)
            {
                return;
            }

            _isTimed = true;
        }

        Arm(Turn);
    }

    /// <summary>Under the lock: a pool began to queue. What is known of the idle ones is of use only while others did so before.</summary>
    private void LookForOneMore(bool wasTight)
    {
        if (_isLooking || !wasTight || !(_isTimed || _isBarren))
        {
            Look();
        }
    }

    /// <summary>
    /// Under the lock: above a lowered limit a close frees no place for those who queue, so they may lack one more than when
    /// they were looked after.
    /// </summary>
    private void LookIfUnaware()
    {
        if (IsLacking && !_isLooking && !_isTimed && !_isBarren)
        {
            Look();
        }
    }

    /// <summary>Under the lock.</summary>
    private void Look()
    {
        if (_isLooking)
        {
            _lookAgain = true;
            return;
        }

        _isLooking = true;
        ThreadPool.UnsafeQueueUserWorkItem(static cap => cap.Walk(), this, preferLocal: false);
    }

    private void Walk()
    {
        TimeSpan? next;
        while (true)
        {
            CapShare[] holders;
            lock (_lock)
            {
                _lookAgain = false;
                _sawNewIdle = false;
                _isBarren = false;

                // Those that queue, too: a retry does not take what is idle. So only what is on its way is not found here, and
                // that is told of when it arrives: who leaves the queue leaves nothing unseen behind.
                holders = [.. _holders.Where(static share => share.Held > share.Closing)];
            }

            next = Evict(holders);
            lock (_lock)
            {
                if (_lookAgain)
                {
                    continue;
                }

                _isLooking = false;
                if (!IsLacking || _isTimed)
                {
                    return;
                }

                if (next is null && !_sawNewIdle)
                {
                    _isBarren = true;
                    return;
                }

                _isTimed = true;
                break;
            }
        }

        Arm(next ?? Turn);
    }

    /// <summary>Returns when it is worth looking again, if nothing new becomes idle; null when never.</summary>
    private TimeSpan? Evict(CapShare[] holders)
    {
        List<IdleCandidate> idle = [];
        foreach (CapShare share in holders)
        {
            share.Pool.ListIdle(idle);
        }

        idle.Sort(static (a, b) => a.Since.CompareTo(b.Since));
        TimeSpan now = _clock.Read();
        TimeSpan? next = null;
        foreach (IdleCandidate candidate in idle)
        {
            TimeSpan left = candidate.Since + Turn - now;
            if (candidate.Pool.TryGiveWay(candidate.Connection, isTurnOver: left <= TimeSpan.Zero))
            {
                continue;
            }

            // Not ripe; or lost to a rent, wanted by its own pool, or its close would have to wait for a token: then a turn later.
            TimeSpan due = left > TimeSpan.Zero ? left : Turn;
            next = next < due ? next : due;
            lock (_lock)
            {
                if (!IsLacking || (left > TimeSpan.Zero && Surplus <= 0))
                {
                    return next;
                }
            }
        }

        return next;
    }

    /// <summary>Outside the lock: a fake clock may run what is due on this stack.</summary>
    private void Arm(TimeSpan due) =>
        _timer.Change(TimeSpan.FromMilliseconds(Math.Max(1, Math.Ceiling(due.TotalMilliseconds))), Timeout.InfiniteTimeSpan);

    private void OnTimer()
    {
        lock (_lock)
        {
            _isTimed = false;
            if (IsLacking)
            {
                Look();
            }
        }
    }

    private ITimer CreateTimer(TimeProvider time)
    {
        // It outlives the caller who made the client.
        using AsyncFlowControl flow = ExecutionContext.SuppressFlow();
        return time.CreateTimer(static cap => ((SharedCap)cap!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }
}
