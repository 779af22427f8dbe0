using System.IO.Pipelines;
using System.Net;
using PooledTcp.Connections;

namespace PooledTcp;

/// <summary>
/// A connection on loan. Talk over it, call <see cref="Complete"/> when the exchange has ended cleanly, and dispose it.
/// </summary>
/// <remarks>
/// <para>
/// The pool knows no protocol, so the caller says when the last reply byte was read. A lease that is disposed without
/// <see cref="Complete"/>, after a failed or cancelled operation, with one in flight, with unread bytes in a pipe or in the
/// TLS layer, or after bytes were sent and none received (unless the endpoint sets <c>AllowOneWay</c>) closes its
/// connection instead of returning it: no reply ever reaches the wrong caller.
/// </para>
/// <para>
/// It is a small value: copy it freely within the exchange. Once one copy is disposed, every copy throws
/// <see cref="ObjectDisposedException"/>, whatever thread it is on. One receive and one send may run at a time.
/// <c>default(TcpLease)</c> throws <see cref="InvalidOperationException"/>; disposing it does nothing.
/// </para>
/// <para>
/// Dispose it. A lease whose last copy (its <see cref="Stream"/> and pipes count, and so does an operation in flight) is lost
/// without that is found by the garbage collector, whenever that runs: its connection is closed and reported as
/// <c>leaked</c>, and its place is free again. Until then it counts against <c>MaxConnections</c>.
/// </para>
/// </remarks>
public readonly struct TcpLease : IAsyncDisposable, IDisposable, IEquatable<TcpLease>
{
    private readonly LeaseHandle? _handle;
    private readonly long _version;

    /// <summary>For the caller, of a handle that was lent for this lease.</summary>
    internal TcpLease(LeaseHandle handle)
        : this(handle, handle.LentFor)
    {
    }

    /// <summary>For a hook, whose lease the pool ends whatever becomes of its copies.</summary>
    internal TcpLease(LeaseHandle handle, long version)
    {
        _handle = handle;
        _version = version;
    }

    /// <summary>Identifies the connection in logs and traces; unique in the process, never reused.</summary>
    public long ConnectionId
    {
        get
        {
            Connection.ThrowIfStale(_version);
            return Connection.Id;
        }
    }

    /// <summary>True when the connection has served an earlier lease.</summary>
    public bool IsReused => Connection.IsReused(_version);

    /// <summary>Time since the connection was opened.</summary>
    public TimeSpan Age => Connection.Age(_version);

    /// <summary>
    /// How long the connection lay idle before this lease; zero on a fresh one. Measured on the pool's coarse clock, since
    /// a warm rent reads none: exact to about a second.
    /// </summary>
    public TimeSpan IdleFor => Connection.IdleFor(_version);

    /// <summary>Bytes of completed sends in this lease, before encryption.</summary>
    public long BytesSent => Connection.BytesSent(_version);

    /// <summary>Bytes received in this lease, after decryption.</summary>
    public long BytesReceived => Connection.BytesReceived(_version);

    /// <summary>True when a receive has seen the end of the stream, or the kernel knows of the peer's FIN or RST. Costs a system call.</summary>
    public bool PeerClosed => Connection.PeerClosed(_version);

    /// <summary>The local address and port; null where the platform does not tell.</summary>
    public EndPoint? LocalEndPoint => Connection.LocalEndPoint(_version);

    /// <summary>The address that was dialed; null where the platform does not tell.</summary>
    public EndPoint? RemoteEndPoint => Connection.RemoteEndPoint(_version);

    /// <summary>What the endpoint's <see cref="ITcpHandshake"/> returned for this connection; null without one.</summary>
    public object? Session => Connection.SessionFor(_version);

    /// <summary>
    /// The connection as a stream, made on first use and valid for this lease only. It buffers nothing; disposing it does
    /// not end the lease.
    /// </summary>
    public Stream Stream => Connection.StreamFor(Handle, _version);

    /// <summary>
    /// The receiving side as a pipe, made on first use and valid for this lease only. Bytes it still holds when the lease
    /// ends close the connection.
    /// </summary>
    /// <exception cref="InvalidOperationException">The lease has already read through <see cref="ReceiveAsync"/> or <see cref="Stream"/>.</exception>
    public PipeReader Input => Connection.InputFor(Handle, _version);

    /// <summary>
    /// The sending side as a pipe, made on first use and valid for this lease only. Flush it: bytes it still holds when the
    /// lease ends were never sent, and close the connection.
    /// </summary>
    public PipeWriter Output => Connection.OutputFor(Handle, _version);

    private TcpConnection Connection => Handle.Connection;

    private LeaseHandle Handle =>
        _handle ?? throw new InvalidOperationException("This is default(TcpLease), not a lease: rent one from a pool.");

    /// <summary>Receives at least one byte; 0 means the peer closed. Allocates nothing.</summary>
    /// <param name="buffer">Where the bytes go.</param>
    /// <param name="cancellationToken">Cancelling a receive that has started makes the connection unfit for another lease.</param>
    /// <exception cref="ConnectionFaultedException">The connection broke.</exception>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    /// <exception cref="InvalidOperationException">A receive is already in flight, or the lease reads through <see cref="Input"/>.</exception>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        Handle.ReceiveAsync(_version, buffer, ReadStyle.Direct, cancellationToken);

    /// <summary>Sends the whole buffer. Allocates nothing.</summary>
    /// <param name="buffer">The bytes to send; leave them alone until the task completes.</param>
    /// <param name="cancellationToken">Cancelling a send that has started makes the connection unfit for another lease.</param>
    /// <exception cref="ConnectionFaultedException">The connection broke.</exception>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    /// <exception cref="InvalidOperationException">A send is already in flight.</exception>
    public ValueTask SendAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        Handle.SendAsync(_version, buffer, cancellationToken);

    /// <summary>
    /// Says that the exchange has ended cleanly: the last byte of the last reply was read. Only then does disposing the
    /// lease give the connection to another caller. Another send or receive takes it back.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    public void Complete() => Connection.Complete(_version);

    /// <summary>Ends the lease and closes the connection, completed or not. Does nothing when the lease has ended.</summary>
    public void Discard() => Handle.Return(_version, discard: true);

    /// <summary>
    /// Whether the exchange may be sent again on another connection: this one was reused (so it may have died while idle),
    /// and either no send was ever started, or the exchange is idempotent and no reply byte has arrived. Ask before the
    /// lease is disposed; <see cref="ConnectionFaultedException.SafeToRetry"/> keeps the verdict for later.
    /// </summary>
    /// <param name="idempotent">True when the server may carry out the exchange twice without harm.</param>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    public bool SafeToRetry(bool idempotent) => Connection.SafeToRetry(_version, idempotent);

    /// <summary>Whether the connection failed under this lease and the exchange may be sent again; false when it has ended.</summary>
    internal bool FailedSafely(bool idempotent) => _handle is { } handle && handle.Connection.FailedSafely(_version, idempotent);

    /// <summary>Ends the lease: back to the pool if it was completed and is clean, closed otherwise. Never throws; a second call does nothing.</summary>
    public void Dispose() => _handle?.Return(_version);

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return default;
    }

    /// <summary>True when both are copies of one lease.</summary>
    public bool Equals(TcpLease other) => ReferenceEquals(_handle, other._handle) && _version == other._version;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is TcpLease other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_handle, _version);

    /// <summary>True when both are copies of one lease.</summary>
    public static bool operator ==(TcpLease left, TcpLease right) => left.Equals(right);

    /// <summary>True when they are not copies of one lease.</summary>
    public static bool operator !=(TcpLease left, TcpLease right) => !left.Equals(right);
}
