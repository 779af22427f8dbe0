namespace PooledTcp.Connections;

/// <summary>
/// What the copies of a lease, its stream and its pipes hold: the one way from a caller to the connection. When the garbage
/// collector finds that nobody has it any more, the lease can never end, and the finalizer ends it.
/// </summary>
/// <remarks>
/// <para>
/// The pool holds a connection and its socket strongly for life, or a lost lease would take the socket along: its own
/// finalizer sends RST, behind the back of the counts and the port ledger (tcp-facts section 2). What changes hands is this
/// object. The sweep takes it out of the connection of each lease that it comes across, and that lease's return brings it back;
/// in between nothing that the pool can reach leads here. Therefore a lease's stream and pipes are kept here, too, and not on the
/// connection. Most leases end before a sweep sees them, and write nothing: moving it at each rent took 2 ns of 24 (measured).
/// </para>
/// <para>
/// An operation in flight keeps it: the caller may have nothing else in hand than the task, and a live exchange must never
/// be taken for a lost one. Such a lease is overdue at most (<c>Health.LeaseWarningAfter</c>).
/// </para>
/// <para>
/// A caller's own finalizer may dispose a lease that was found lost in the same collection. Put back, this object would
/// serve another caller and then be finalized under it. <see cref="IsLost"/> tells: a weak reference is cleared before any
/// finalizer runs.
/// </para>
/// </remarks>
internal sealed class LeaseHandle
{
    private readonly WeakReference<LeaseHandle> _self;
    private long _lentFor = -1;

    public LeaseHandle(TcpConnection connection)
    {
        Connection = connection;
        _self = new WeakReference<LeaseHandle>(this);
    }

#pragma warning disable MA0055 // Nothing else learns that the last copy of a lease is gone
    ~LeaseHandle() => Connection.OnHandleLost(this);
#pragma warning restore MA0055

    public TcpConnection Connection { get; }

    /// <summary>
    /// The lease it was last lent for: the only one that its loss can end. None so far: no version at all. Written when the lease's
    /// record is: who reads it and finds the lease that runs may read that.
    /// </summary>
    public long LentFor
    {
        get => Volatile.Read(ref _lentFor);
        set => Volatile.Write(ref _lentFor, value);
    }

    /// <summary>The garbage collector has found that nobody holds it; whoever calls has been finalized itself.</summary>
    public bool IsLost => !_self.TryGetTarget(out _);

    // Each made on first use in a lease, see TcpConnection.PerLease.
    public LeaseStream? Stream;
    public LeasePipeReader? Input;
    public LeasePipeWriter? Output;

    public ValueTask<int> ReceiveAsync(long version, Memory<byte> buffer, ReadStyle style, CancellationToken cancellationToken) =>
        Connection.ReceiveAsync(this, version, buffer, style, cancellationToken);

    public ValueTask SendAsync(long version, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) =>
        Connection.SendAsync(this, version, buffer, cancellationToken);

    public void Return(long version, bool discard = false) => Connection.Return(this, version, discard);

    /// <summary>
    /// It will not be lent again, so there is nothing to miss. Finalized all the same, it would keep the closed connection and
    /// all that belongs to it for one more collection.
    /// </summary>
#pragma warning disable CA1816 // There is nothing to dispose
    public void Retire() => GC.SuppressFinalize(this);
#pragma warning restore CA1816
}
