using System.Diagnostics;

namespace PooledTcp.Pooling;

/// <summary>Yielding: which connections give way to the pools that queue. Turns and fairness are settled here.</summary>
internal sealed partial class SharedCap
{
    /// <summary>
    /// True when a connection that just came back should make room; then the caller takes it out with its gate still held.
    /// The idle ones of other pools go first: while they are being looked at, nobody yields.
    /// </summary>
    /// <param name="share">The pool's.</param>
    /// <param name="isTurnOver">It had its place for a turn.</param>
    /// <param name="canGiveWay">Its close would begin at once.</param>
    /// <param name="hasRetry">Somebody in its pool waits for a new connection and nothing else.</param>
    public bool TryYield(CapShare share, bool isTurnOver, bool canGiveWay, bool hasRetry)
    {
        lock (_lock)
        {
            bool mayGo = isTurnOver && canGiveWay && !_isLooking;
            bool isForOthers = mayGo && IsAheadOfWaiting(share);

            // One at a time, and not while another of its closes may still bring the place.
            bool isForItself = mayGo && !isForOthers && hasRetry && share.IsQueued && share.Closing == 0 && _queue.Count > _coming && Surplus <= 0;
            if (!TryPromise(share, isForOthers || isForItself))
            {
                return false;
            }

            if (share.IsQueued)
            {
                _queue.Remove(share.QueuePlace);
                if (isForItself)
                {
                    // It gets what it gives: nobody else is served earlier or later for it.
                    _queue.AddFirst(share.QueuePlace);
                }
                else
                {
                    // It had its turn: standing in front, it would get the place it gave up.
                    _queue.AddLast(share.QueuePlace);
                }
            }

            return true;
        }
    }

    /// <summary>The same for one that is idle; its pool may hold it no more, and then takes the promise back.</summary>
    public bool TryEvict(CapShare share, bool isTurnOver, bool canGiveWay)
    {
        lock (_lock)
        {
            return TryPromise(share, isTurnOver && canGiveWay && _queue.Count > _coming);
        }
    }

    public void TakeBackPromise(CapShare share)
    {
        lock (_lock)
        {
            Debug.Assert(share.IsPromised, "Only what was promised is taken back.");
            share.IsPromised = false;
            share.Closing--;
            _promised--;
            _coming--;
            Recount(share);
        }
    }

    /// <summary>
    /// True when a place should pass from the pool to one that queues; those in front are served by closes under way. Not the
    /// first of the others alone: behind one that has its share stands perhaps one that has nothing, and the place that the first
    /// gets is what brings the other to the front.
    /// </summary>
    private bool IsAheadOfWaiting(CapShare share)
    {
        int coming = _coming;
        for (LinkedListNode<CapShare>? place = _queue.First; place is not null; place = place.Next)
        {
            if (place.Value != share && --coming < 0 && IsAhead(share, place.Value))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Whether a place should pass from one pool to the other: the one has more than an equal share of all places, or the
    /// other has none, or would have no more than it afterwards. The equal share alone is no measure: places that are not
    /// returned count as divided, and a key that has fewer than its share because of them would keep its own for ever. Two
    /// that differ by one do not change places, unless the one has nothing.
    /// </summary>
    private bool IsAhead(CapShare share, CapShare next)
    {
        int own = share.Held - share.Closing;
        int others = next.Held - next.Closing;
        return (long)own * _active > _max || others == 0 || own - others >= 2;
    }

    private bool TryPromise(CapShare share, bool isWanted)
    {
        if (!isWanted && Surplus <= 0)
        {
            return false;
        }

        share.IsPromised = true;
        share.Closing++;
        _promised++;
        _coming++;
        Recount(share);
        return true;
    }
}
