using System.Net.Sockets;
using PooledTcp.Ports;

namespace PooledTcp.Health;

/// <summary>
/// Failures of a dial that are this host's own. They say nothing about the server, so they never open a breaker: it would
/// turn a shortage that is over in a moment into an outage of seconds.
/// </summary>
internal static class LocalFailures
{
    public static bool Is(Exception error)
    {
        for (Exception? cause = error; cause is not null; cause = cause.InnerException)
        {
            if (cause is NoLocalPortException)
            {
                return true;
            }

            if (cause is SocketException socket)
            {
                return Is(socket.SocketErrorCode);
            }
        }

        return false;
    }

    private static bool Is(SocketError error) => error
        is SocketError.AddressAlreadyInUse // errno 98
        or SocketError.AddressNotAvailable // errno 99
        or SocketError.TooManyOpenSockets // EMFILE, ENFILE
        or SocketError.NoBufferSpaceAvailable // ENOBUFS
        or SocketError.AccessDenied // EPERM: a local packet filter; EACCES: a unix socket's file mode
        or SocketError.WouldBlock; // EAGAIN: a unix socket's backlog is full, or no port for it
}
