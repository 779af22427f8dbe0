using System.Diagnostics;

namespace PooledTcp.Pooling;

/// <summary>The callers waiting for a connection, oldest first. Touched under the pool's gate only.</summary>
internal sealed class WaiterQueue
{
    public int Count { get; private set; }

    /// <summary>How many of them a dial is running for.</summary>
    public int Dialed { get; private set; }

    public Waiter? Oldest { get; private set; }

    private Waiter? Youngest { get; set; }

    public void Enqueue(Waiter waiter)
    {
        Debug.Assert(!waiter.IsQueued && waiter.Next is null && waiter.Previous is null, "A waiter is queued once.");
        waiter.IsQueued = true;
        waiter.Previous = Youngest;
        if (Youngest is null)
        {
            Oldest = waiter;
        }
        else
        {
            Youngest.Next = waiter;
        }

        Youngest = waiter;
        Count++;
    }

    public void Remove(Waiter waiter)
    {
        Debug.Assert(waiter.IsQueued, "A waiter leaves once.");
        if (waiter.Previous is null)
        {
            Oldest = waiter.Next;
        }
        else
        {
            waiter.Previous.Next = waiter.Next;
        }

        if (waiter.Next is null)
        {
            Youngest = waiter.Previous;
        }
        else
        {
            waiter.Next.Previous = waiter.Previous;
        }

        waiter.Next = null;
        waiter.Previous = null;
        waiter.IsQueued = false;
        Count--;
        Debug.Assert(Count >= 0, "No count is ever negative.");
    }

    /// <summary>A dial was started for the waiter, or passed to it.</summary>
    public void Link(Waiter waiter, Dial dial)
    {
        Debug.Assert(waiter.Dial is null && dial.Waiter is null, "One dial per waiter, one waiter per dial.");
        waiter.Dial = dial;
        dial.Waiter = waiter;
        Dialed++;
    }

    /// <summary>The dial ended, or goes on without the waiter.</summary>
    public void Unlink(Waiter waiter)
    {
        waiter.Dial!.Waiter = null;
        waiter.Dial = null;
        Dialed--;
        Debug.Assert(Dialed >= 0, "No count is ever negative.");
    }

    /// <summary>
    /// The oldest waiter that no dial is running for. The ones with a dial stand in front, and there are at most
    /// MaxConnecting of them, so this is a short walk.
    /// </summary>
    public Waiter? OldestWithoutDial()
    {
        Waiter? waiter = Oldest;
        while (waiter is { Dial: not null })
        {
            waiter = waiter.Next;
        }

        return waiter;
    }

    /// <summary>The earliest deadline of all; <see cref="TimeSpan.MaxValue"/> when nobody's ends.</summary>
    public TimeSpan EarliestDeadline()
    {
        TimeSpan earliest = TimeSpan.MaxValue;
        for (Waiter? waiter = Oldest; waiter is not null; waiter = waiter.Next)
        {
            if (waiter.Deadline < earliest)
            {
                earliest = waiter.Deadline;
            }
        }

        return earliest;
    }
}
