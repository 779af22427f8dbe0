using System.Diagnostics;

namespace PooledTcp.Pooling;

/// <summary>
/// The callers waiting for a connection, oldest first. In front stand the retries: they take nothing but a new connection,
/// and have waited in this queue once already. Touched under the pool's gate only.
/// </summary>
internal sealed class WaiterQueue
{
    public int Count { get; private set; }

    /// <summary>How many of them a dial is running for.</summary>
    public int Dialed { get; private set; }

    public Waiter? Oldest { get; private set; }

    /// <summary>The oldest that takes a used connection as well; all behind it do.</summary>
    public Waiter? OldestForUsed { get; private set; }

    /// <summary>The oldest that takes nothing but a new connection.</summary>
    public Waiter? OldestRetry => ReferenceEquals(Oldest, OldestForUsed) ? null : Oldest;

    /// <summary>One that takes nothing but a new connection has no dial. A short walk, as <see cref="OldestWithoutDial"/> is.</summary>
    public bool HasRetryWithoutDial
    {
        get
        {
            Waiter? waiter = Oldest;
            while (waiter is { Dial: not null } && waiter != OldestForUsed)
            {
                waiter = waiter.Next;
            }

            return waiter is not null && waiter != OldestForUsed;
        }
    }

    private Waiter? Youngest { get; set; }

    public void Enqueue(Waiter waiter)
    {
        InsertBefore(next: null, waiter);
        OldestForUsed ??= waiter;
    }

    /// <summary>For a retry: behind the other retries, before everyone else.</summary>
    public void EnqueueRetry(Waiter waiter) => InsertBefore(OldestForUsed, waiter);

    public void Remove(Waiter waiter)
    {
        Debug.Assert(waiter.IsQueued, "A waiter leaves once.");
        if (ReferenceEquals(OldestForUsed, waiter))
        {
            OldestForUsed = waiter.Next;
        }

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

    private void InsertBefore(Waiter? next, Waiter waiter)
    {
        Debug.Assert(!waiter.IsQueued && waiter.Next is null && waiter.Previous is null, "A waiter is queued once.");
        Waiter? previous = next is null ? Youngest : next.Previous;
        waiter.IsQueued = true;
        waiter.Previous = previous;
        waiter.Next = next;
        if (previous is null)
        {
            Oldest = waiter;
        }
        else
        {
            previous.Next = waiter;
        }

        if (next is null)
        {
            Youngest = waiter;
        }
        else
        {
            next.Previous = waiter;
        }

        Count++;
    }
}
