using System.Net.Sockets;

namespace PooledTcp;

/// <summary>
/// A send or receive on a lease failed: reset by the peer, TLS failure, or closed under the caller by
/// <c>TcpPool.Clear(interruptLeases: true)</c> or the end of the client. The connection will not be lent again.
/// The cause is <see cref="Exception.InnerException"/>.
/// </summary>
public sealed class ConnectionFaultedException : PooledTcpException
{
    private readonly bool _nothingSent;
    private readonly bool _nothingReceived;

    internal ConnectionFaultedException(
        string message, string poolName, long connectionId, bool isReused, bool nothingSent, bool nothingReceived, Exception? innerException)
        : base(message, poolName, innerException)
    {
        ConnectionId = connectionId;
        IsReused = isReused;
        _nothingSent = nothingSent;
        _nothingReceived = nothingReceived;
    }

    /// <summary>The connection, as <see cref="TcpLease.ConnectionId"/> named it.</summary>
    public long ConnectionId { get; }

    /// <summary>True when the connection had served an earlier lease.</summary>
    public bool IsReused { get; }

    /// <summary>The socket error behind it, when there was one.</summary>
    public SocketError? SocketErrorCode => (InnerException as SocketException ?? InnerException?.InnerException as SocketException)?.SocketErrorCode;

    /// <summary>
    /// <see cref="TcpLease.SafeToRetry"/> as it stood when the operation failed, for code that only sees the exception.
    /// </summary>
    /// <param name="idempotent">True when the server may carry out the exchange twice without harm.</param>
    public bool SafeToRetry(bool idempotent) => IsReused && (_nothingSent || (idempotent && _nothingReceived));
}
