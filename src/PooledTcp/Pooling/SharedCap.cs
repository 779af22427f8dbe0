using System.Diagnostics;

namespace PooledTcp.Pooling;

/// <summary>
/// MaxTotalConnections: the places of all pools of a client. A pool takes one before it dials and gives it back when the
/// connection is closed; a pool that finds none queues, and places that come free go round the queue, one to each pool in
/// turn, whatever the number of its callers.
/// </summary>
/// <remarks>
/// <para>
/// A lock of its own, below every pool's gate: pools call in with their gate held, and nothing in here calls a pool. Who
/// was granted a place is told on another thread.
/// </para>
/// <para>
/// <b>No deadlock, no starvation.</b> A free place is never left lying while a pool queues: it is granted in the very step
/// that frees it, and a pool that has no use for its grant any more gives it back, which grants it to the next.
/// </para>
/// </remarks>
internal sealed class SharedCap
{
    private readonly Lock _lock = new();
    private readonly Queue<CapShare> _queue = new();
    private readonly Action<ConnectionPool> _tell;
    private int _max;
    private int _used;
    private int _active;
    private volatile bool _isTight;

    /// <param name="max">Places; <see cref="int.MaxValue"/> for no limit.</param>
    /// <param name="tell">Lets a pool dial on the place it was granted: soon, and on another stack.</param>
    public SharedCap(int max, Action<ConnectionPool> tell)
    {
        _max = max;
        _tell = tell;
    }

    /// <summary>Pools queue for a place, or a lowered limit is not reached yet: what is returned or idle may have to go.</summary>
    public bool IsTight => _isTight;

    /// <summary>Places, and how many are taken.</summary>
    public (int Used, int Max) Places
    {
        get
        {
            lock (_lock)
            {
                return (_used, _max);
            }
        }
    }

    /// <summary>How many places are lacking: pools in the queue, and connections above a lowered limit.</summary>
    public int Lacking
    {
        get
        {
            lock (_lock)
            {
                return _queue.Count + Math.Max(0, _used - _max);
            }
        }
    }

    /// <summary>True when a dial could have a place right now.</summary>
    public bool HasRoomFor(CapShare share)
    {
        lock (_lock)
        {
            return share.Granted > 0 || (_used < _max && _queue.Count == 0);
        }
    }

    /// <summary>A place for a dial. When there is none the pool queues for one, unless nobody waits for the dial.</summary>
    public bool TryTake(CapShare share, bool queue)
    {
        lock (_lock)
        {
            if (share.Granted > 0)
            {
                share.Granted--;
            }
            else if (_used < _max && _queue.Count == 0)
            {
                _used++;
            }
            else
            {
                if (queue && !share.IsQueued)
                {
                    Enqueue(share);
                }

                return false;
            }

            Hold(share, 1);
            return true;
        }
    }

    /// <summary>A connection is closed, or its dial has failed.</summary>
    public void GiveBack(CapShare share)
    {
        lock (_lock)
        {
            Hold(share, -1);
            _used--;
            Debug.Assert(_used >= 0, "No count is ever negative.");
            Grant();
        }
    }

    /// <summary>The pool has planned its dials: a grant it did not use goes to the next.</summary>
    public void GiveBackGrants(CapShare share)
    {
        lock (_lock)
        {
            _used -= share.Granted;
            share.Granted = 0;
            Grant();
        }
    }

    /// <summary>
    /// True when a connection of this pool, which just came back, should make room: somebody else queues, and the pool has
    /// more than an equal share of the places; or a lowered limit is not reached yet.
    /// </summary>
    public bool ShouldYield(CapShare share)
    {
        lock (_lock)
        {
            return _used > _max || (_queue.Count > (share.IsQueued ? 1 : 0) && share.Held > _max / Math.Max(_active, 1));
        }
    }

    public void Resize(int max)
    {
        lock (_lock)
        {
            _max = max;
            Grant();
        }
    }

    private void Grant()
    {
        while (_used < _max && _queue.TryDequeue(out CapShare? next))
        {
            next.IsQueued = false;
            next.Granted++;
            _used++;
            if (next.Held == 0)
            {
                _active--;
            }

            _tell(next.Pool);
        }

        _isTight = _queue.Count > 0 || _used > _max;
    }

    private void Enqueue(CapShare share)
    {
        share.IsQueued = true;
        _queue.Enqueue(share);
        if (share.Held == 0)
        {
            _active++;
        }

        _isTight = true;
    }

    private void Hold(CapShare share, int difference)
    {
        int before = share.Held;
        share.Held += difference;
        Debug.Assert(share.Held >= 0, "No count is ever negative.");
        if (!share.IsQueued && (before == 0) != (share.Held == 0))
        {
            _active += difference;
        }
    }
}

/// <summary>One pool's part in the <see cref="SharedCap"/>, guarded by its lock.</summary>
internal sealed class CapShare(ConnectionPool pool)
{
    public ConnectionPool Pool { get; } = pool;

    /// <summary>Places its connections have: dialing, open or closing.</summary>
    public int Held { get; set; }

    /// <summary>Places it was granted and has not dialed on yet.</summary>
    public int Granted { get; set; }

    public bool IsQueued { get; set; }
}
