namespace PooledTcp.Connections;

/// <summary>
/// What every rent and return touches of a connection: the state word, the marks, the record of the lease. The rest of it is
/// <see cref="TcpConnection"/>.
/// </summary>
/// <remarks>
/// A base class, because the runtime lays out its fields before those of the class that derives from it, all together. With ten
/// thousand keys a rent comes to memory that no cache holds, and each line of it takes longer than the whole rent of one key.
/// </remarks>
internal abstract class WarmState(Transport transport, ILeaseOwner owner)
{
    protected readonly Transport _transport = transport;
    protected ILeaseOwner _owner = owner;
    protected LeaseHandle? _handle;
    protected long _word;
    protected long _completedAt;
    protected long _bytesSent;
    protected long _bytesReceived;
    protected long _rentedAt;
    protected long _idleSince;
    protected bool _sendStarted;
    private int _marks;
    private int _slot = -1;

    /// <summary>The slot of <c>IdleStore</c> that points here, or -1. Written only while the writer owns the connection.</summary>
    public int Slot
    {
        get => _slot;
        set => _slot = value;
    }

    /// <summary>Leases so far, the current one included.</summary>
    public int Uses { get; protected set; }

    /// <summary>As many leases as MaxUses allows: the last of them leaves a mark. Written under the pool's gate.</summary>
    public int MaxUses { get; set; } = int.MaxValue;

    /// <summary>
    /// On the pool's coarse clock at the last return: up to one maintenance tick before the true moment. Written by the
    /// returner before it publishes the connection as idle, so whoever takes it from idle reads the right value.
    /// </summary>
    public TimeSpan IdleSince
    {
        get => new(_idleSince);
        set => _idleSince = value.Ticks;
    }

    public Marks Marks => (Marks)Volatile.Read(ref _marks);

    public bool IsMarked(Marks any) => (Marks & any) != Marks.None;

    /// <summary>
    /// A full fence: what the caller reads next, the word above all, is read after others can see the mark. A rent takes the
    /// word and then reads the marks, a return publishes the word and then reads them; so whoever comes second sees the first.
    /// </summary>
    public void Mark(Marks mark) => Interlocked.Or(ref _marks, (int)mark);

    /// <summary>Only for who set it, or owns the connection, or under the gate under which it is set.</summary>
    public void Unmark(Marks mark)
    {
        if (IsMarked(mark))
        {
            Interlocked.And(ref _marks, ~(int)mark);
        }
    }

    /// <summary>False when it was not there, or somebody else was first.</summary>
    public bool TryUnmark(Marks mark) => (Interlocked.And(ref _marks, ~(int)mark) & (int)mark) != 0;
}

/// <summary>
/// Why a connection must be looked at closer before it is lent or taken back. Who finds none of them needs no other look: at its
/// generation, its address, its age, its uses or its faults.
/// </summary>
[Flags]
internal enum Marks
{
    None = 0,

    /// <summary>
    /// It may expire before the next sweep, or the settings have changed: whoever takes it then reads the clock. It is what lets every
    /// other rent do without one. The sweep sets it and takes it back.
    /// </summary>
    ExpiresSoon = 1,

    /// <summary>The kernel has the peer's FIN or RST. Set once, by whoever saw it first.</summary>
    PeerClosed = 2,

    /// <summary>Its generation has ended, or its address is gone. Under the pool's gate.</summary>
    Outdated = 4,

    /// <summary>Its last lease has begun.</summary>
    Worn = 8,

    /// <summary>An operation failed or was cancelled half-way.</summary>
    Broken = 16,

    /// <summary>A receive saw the end of the stream.</summary>
    EndOfStream = 32,

    /// <summary>The pool has closed the socket under the lease.</summary>
    Interrupted = 64,

    /// <summary>The lease has pipes, a span, a captured stack, or is timed. Gone with the lease.</summary>
    Extras = 128,

    /// <summary>The pool does something at each of its returns: parks its TLS, or runs the reset hook. For life.</summary>
    ReturnsCarefully = 256,

    /// <summary>Nobody watches it yet. Gone before it is idle for the first time.</summary>
    Unwatched = 512,
}
