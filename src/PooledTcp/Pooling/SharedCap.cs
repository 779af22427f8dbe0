using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using PooledTcp.Connections;
using PooledTcp.Shutdown;

namespace PooledTcp.Pooling;

/// <summary>
/// MaxTotalConnections: the places of all pools of a client. A pool takes one before it dials and gives it back when the
/// connection is closed or the dial has failed. A pool that finds none queues, once, whatever the number of its callers;
/// what comes free goes round the queue.
/// </summary>
/// <remarks>
/// <para>
/// <b>Locks.</b> A pool calls in with its gate held, and a close run is asked to hurry from in here; so the order is pool
/// gate, this lock, the run's. Nothing in here takes a gate: pools are told of their grants, and asked for their idle
/// connections, on the thread pool.
/// </para>
/// <para>
/// <b>No place lies idle.</b> While a pool queues there is no free place: it is granted in the very step that frees it, and
/// a pool that has no use for its grant any more gives it back, which grants it to the next.
/// </para>
/// <para>
/// <b>Turns.</b> While pools queue, a place is its pool's for a <see cref="Turn"/> at least. After that a returned
/// connection is given up, even if callers of its own wait, if the pool is <see cref="IsAhead"/>; and one that has been idle
/// for a turn is given up in any case. Not more of them than pools queue, closes under way included. With fewer keys than
/// places everybody ends up with an equal share and nothing is closed any more; with more, the connections go round.
/// Shorter turns would spend the time on dials, longer ones let the queue wait: docs/adr/0008.
/// </para>
/// <para>
/// <b>Retries</b> take nothing but a new connection. So a pool may queue with connections of its own that do not help it; one
/// of those is then given up for its own place in the queue.
/// </para>
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "The timer is armed only while pools queue, and an unarmed one holds nothing.")]
internal sealed partial class SharedCap
{
    /// <summary>How long a place stays with its pool, used or not, while others queue.</summary>
    public static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(20);

    private readonly Lock _lock = new();
    private readonly LinkedList<CapShare> _queue = new();
    private readonly LinkedList<CapShare> _spare = new();
    private readonly LinkedList<CapShare> _holders = new();
    private readonly LinkedList<CloseRun> _closings = new();
    private int _max;

    /// <summary>Held or granted.</summary>
    private int _used;

    /// <summary>How many pools the places are divided among.</summary>
    private int _active;

    /// <summary>Places that closes under way, or about to begin, will free soon.</summary>
    private int _coming;

    /// <summary>Closes about to begin.</summary>
    private int _promised;

    private volatile bool _isTight;

    /// <param name="max">Places; <see cref="int.MaxValue"/> for no limit.</param>
    /// <param name="clock">The clock of turns.</param>
    public SharedCap(int max, PoolClock clock)
    {
        _max = max;
        _clock = clock;
        _timer = CreateTimer(clock.Time);
    }

    /// <summary>
    /// Pools queue for a place, or a lowered limit is not reached yet: what is returned or idle may have to go. A return
    /// publishes its connection and then reads this; a pool queues and then looks at the idle ones. So none is overlooked.
    /// </summary>
    public bool IsTight => _isTight;

    /// <summary>A lowered limit is not reached yet, and not even when the closes under way are done.</summary>
    public bool IsOver
    {
        get
        {
            if (!_isTight)
            {
                return false;
            }

            lock (_lock)
            {
                return Surplus > 0;
            }
        }
    }

    /// <summary>How many places are taken, how many there are (<see cref="int.MaxValue"/>: no limit), and how many pools queue.</summary>
    public (int Used, int Max, int Queued) Places
    {
        get
        {
            lock (_lock)
            {
                return (_used, _max, _queue.Count);
            }
        }
    }

    private int Surplus => _used - _closings.Count - _promised - _max;

    /// <summary>Somebody lacks a place, and no close under way is about to free it.</summary>
    private bool IsLacking => _queue.Count > _coming || Surplus > 0;

    /// <summary>True when a dial could have a place right now.</summary>
    public bool HasRoomFor(CapShare share)
    {
        lock (_lock)
        {
            return share.Granted > 0 || _used < _max;
        }
    }

    /// <summary>
    /// A place for a dial. When there is none, the pool queues for it if somebody <paramref name="waits"/>; otherwise it is
    /// told when there is one that nobody waits for.
    /// </summary>
    public bool TryTake(CapShare share, bool waits)
    {
        lock (_lock)
        {
            Debug.Assert(_queue.Count == 0 || _used >= _max, "While a pool queues no place is free.");
            if (share.Granted > 0)
            {
                share.Granted--;
            }
            else if (_used < _max)
            {
                _used++;
            }
            else
            {
                if (waits)
                {
                    Enqueue(share);
                }
                else if (share.SparePlace.List is null)
                {
                    _spare.AddLast(share.SparePlace);
                }

                return false;
            }

            share.Held++;
            Recount(share);
            return true;
        }
    }

    /// <summary>A dial has failed.</summary>
    public void GiveBack(CapShare share)
    {
        lock (_lock)
        {
            Free(share);
        }
    }

    /// <summary>The pool is about to plan its dials: what was granted until now it knows of.</summary>
    public void HearGrants(CapShare share)
    {
        lock (_lock)
        {
            share.IsUnheard = false;
        }
    }

    /// <summary>
    /// The pool has planned its dials: a grant it did not use goes to the next. Not one that came meanwhile, for the place
    /// that this very planning may have queued for: the pool is being told of it, and will use it or give it back then.
    /// </summary>
    public void GiveBackGrants(CapShare share)
    {
        lock (_lock)
        {
            if (share.IsUnheard)
            {
                return;
            }

            _used -= share.Granted;
            share.Granted = 0;
            Recount(share);
            Grant();
        }
    }

    /// <summary>Nobody waits for a place in this pool any more.</summary>
    public void Withdraw(CapShare share)
    {
        lock (_lock)
        {
            if (share.SparePlace.List is not null)
            {
                _spare.Remove(share.SparePlace);
            }

            if (share.IsQueued)
            {
                Dequeue(share);
                _isTight = _queue.Count > 0 || _used > _max;
            }
        }
    }

    /// <summary>A connection leaves. Its place is free only when it is closed, but who queues may hurry it.</summary>
    public void BeginClosing(CapShare share, CloseRun run)
    {
        lock (_lock)
        {
            run.FreesPlaceSoon = share.IsPromised || run.GivesWay;
            if (share.IsPromised)
            {
                share.IsPromised = false;
                _promised--;
            }
            else
            {
                share.Closing++;
                _coming += run.FreesPlaceSoon ? 1 : 0;
            }

            _closings.AddLast(run.CapPlace);
            Recount(share);
            HurryClosings();
        }
    }

    /// <summary>A connection is closed.</summary>
    public void EndClosing(CapShare share, CloseRun run)
    {
        lock (_lock)
        {
            _closings.Remove(run.CapPlace);
            _coming -= run.FreesPlaceSoon ? 1 : 0;
            share.Closing--;
            Debug.Assert(share.Closing >= 0 && _coming >= 0, "No count is ever negative.");
            Free(share);
        }
    }

    /// <summary>Another limit, at once: who queues is served, or idle connections go.</summary>
    public void Resize(int max)
    {
        lock (_lock)
        {
            _max = max;
            Grant();
            if (_isTight)
            {
                Look();
            }
        }
    }

    private void Free(CapShare share)
    {
        share.Held--;
        _used--;
        Debug.Assert(share.Held >= 0 && _used >= 0, "No count is ever negative.");
        Recount(share);
        Grant();
    }

    private void Grant()
    {
        while (_used < _max && _queue.First is { } first)
        {
            CapShare next = first.Value;
            Dequeue(next);
            next.Granted++;
            next.IsUnheard = true;
            _used++;
            Recount(next);
            Tell(next);
        }

        for (int free = _max - _used; free > 0 && _spare.First is { } first; free--)
        {
            _spare.RemoveFirst();
            Tell(first.Value);
        }

        _isTight = _queue.Count > 0 || _used > _max;
        HurryClosings();
        LookIfUnaware();
    }

    private void Enqueue(CapShare share)
    {
        if (share.IsQueued)
        {
            return;
        }

        share.IsQueued = true;
        _queue.AddLast(share.QueuePlace);
        Recount(share);
        HurryClosings();
        bool wasTight = _isTight;
        _isTight = true;
        LookForOneMore(wasTight);
    }

    private void Dequeue(CapShare share)
    {
        share.IsQueued = false;
        _queue.Remove(share.QueuePlace);
        Recount(share);
    }

    /// <summary>Each pool that queues hurries one close, the oldest first; those that were hurried before are on their way.</summary>
    private void HurryClosings()
    {
        int lacking = _queue.Count;
        for (LinkedListNode<CloseRun>? run = _closings.First; run is not null && lacking > 0; run = run.Next)
        {
            lacking -= run.Value.TryEscalate() ? 1 : 0;
        }
    }

    private void Recount(CapShare share)
    {
        bool isActive = share.Held > share.Closing || share.Granted > 0 || share.IsQueued;
        if (isActive != share.IsActive)
        {
            share.IsActive = isActive;
            _active += isActive ? 1 : -1;
        }

        if (share.Held > 0 && share.HolderPlace.List is null)
        {
            _holders.AddLast(share.HolderPlace);
        }
        else if (share.Held == 0 && share.HolderPlace.List is not null)
        {
            _holders.Remove(share.HolderPlace);
        }
    }

    /// <summary>On another stack, and with no lock held: planning takes the pool's gate.</summary>
    private static void Tell(CapShare share) =>
        ThreadPool.UnsafeQueueUserWorkItem(static pool => pool.UseGrants(), share.Pool, preferLocal: false);
}
