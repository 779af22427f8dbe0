using System.Net.Sockets;

namespace PooledTcp;

/// <summary>
/// The endpoint could not be reached: name resolution, connect, TLS or the protocol's handshake failed, or ran out of
/// <c>ConnectTimeout</c>. Or so many dials in a row have failed (<c>Health.FailuresToOpen</c>) that the endpoint is not dialed
/// for a moment: the message then tells the last error, its age and when the next dial comes. The cause is
/// <see cref="Exception.InnerException"/>.
/// </summary>
public sealed class EndpointUnavailableException : PooledTcpException
{
    internal EndpointUnavailableException(string message, string poolName, Exception? innerException)
        : base(message, poolName, innerException)
    {
    }

    /// <summary>The socket error behind it, when there was one.</summary>
    public SocketError? SocketErrorCode
    {
        get
        {
            // At any depth: in a handshake over TLS, SslStream and the lease each put an exception around it.
            Exception? cause = InnerException;
            while (cause is not null and not SocketException)
            {
                cause = cause.InnerException;
            }

            return (cause as SocketException)?.SocketErrorCode;
        }
    }
}
