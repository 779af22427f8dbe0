namespace PooledTcp.Ports;

/// <summary>
/// One tuple's page in the <see cref="PortLedger"/>, per slice of ports: pools with different slices towards one
/// destination draw from different ports. Whoever holds a port here holds the account; an unused one leaves the ledger.
/// </summary>
internal sealed class PortAccount(PortTuple tuple, PortRange range, int usable)
{
    private PortCensus? _lastCensus;
    private int _changes;

    public PortTuple Tuple { get; } = tuple;

    /// <summary>The ports this tuple draws from.</summary>
    public PortRange Range { get; } = range;

    /// <summary>Those of <see cref="Range"/> that are not reserved, as they were when the account was opened.</summary>
    public int Usable { get; } = usable;

    /// <summary>The last count of the kernel's side of this account; null until one was needed.</summary>
    public PortCensus? LastCensus
    {
        get => Volatile.Read(ref _lastCensus);
        set => Volatile.Write(ref _lastCensus, value);
    }

    /// <summary>Events so far: while it stands still, so do our own ports. Written under the ledger's lock.</summary>
    internal int Changes
    {
        get => Volatile.Read(ref _changes);
        set => Volatile.Write(ref _changes, value);
    }

    // The last count's: when, and what stood in Changes then. The watch's sweep alone uses them.
    internal long CountedAt;
    internal int CountedChanges = -1;

    // Guarded by the ledger's lock.
    internal int Connecting;
    internal int Live;
    internal int Closing;
    internal int Promised;
    internal int News;
    internal PortFailure LastFailure;
    internal TimeSpan FailedUntil;

    /// <summary>When a port of ours was given back for the last time.</summary>
    internal TimeSpan FreedAt = TimeSpan.MinValue / 2;

    /// <summary>When each TIME_WAIT runs out, oldest first.</summary>
    internal readonly Queue<TimeSpan> Owed = new();

    internal PortUse Use => new(Connecting, Live, Closing, Promised, Owed.Count);

    internal bool IsUnused => Connecting + Live + Closing + Promised + Owed.Count + News == 0;
}
