namespace PooledTcp.Pooling;

/// <summary>One pool's part in the <see cref="SharedCap"/>, guarded by the cap's lock.</summary>
internal sealed class CapShare
{
    private volatile bool _isQueued;

    public CapShare(ConnectionPool pool)
    {
        Pool = pool;
        QueuePlace = new LinkedListNode<CapShare>(this);
        SparePlace = new LinkedListNode<CapShare>(this);
        HolderPlace = new LinkedListNode<CapShare>(this);
    }

    public ConnectionPool Pool { get; }

    /// <summary>Places its connections have: dialing, open or closing.</summary>
    public int Held { get; set; }

    /// <summary>How many of those are closing, or about to.</summary>
    public int Closing { get; set; }

    /// <summary>Places it was granted and has not dialed on yet.</summary>
    public int Granted { get; set; }

    /// <summary>The last grant was made after its pool began to plan; word of it is on its way.</summary>
    public bool IsUnheard { get; set; }

    /// <summary>It was told to give a connection up, and takes it out in the same breath.</summary>
    public bool IsPromised { get; set; }

    /// <summary>It has places that are not closing, or wants one: one of those the places are divided among.</summary>
    public bool IsActive { get; set; }

    /// <summary>Its waiters lack a place. Set with the pool's gate held, cleared by whoever grants: a look without the lock may be late.</summary>
    public bool IsQueued
    {
        get => _isQueued;
        set => _isQueued = value;
    }

    public LinkedListNode<CapShare> QueuePlace { get; }

    /// <summary>Its place among those that would take what nobody waits for, to warm up or for MinIdleConnections.</summary>
    public LinkedListNode<CapShare> SparePlace { get; }

    public LinkedListNode<CapShare> HolderPlace { get; }
}

/// <summary>An idle connection that may have to go, and since when it is idle.</summary>
internal readonly record struct IdleCandidate(ConnectionPool Pool, Connections.TcpConnection Connection, TimeSpan Since);
