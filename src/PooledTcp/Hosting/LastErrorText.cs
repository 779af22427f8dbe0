using System.Net.Sockets;

namespace PooledTcp.Hosting;

/// <summary>
/// What kind of error a dial met, in words of the framework's and ours only. Health endpoints are often open to everybody,
/// and the message of an exception may be a handshake hook's: with the password that was refused in it.
/// </summary>
internal static class LastErrorText
{
    public static string Of(Exception error)
    {
        for (Exception? cause = error; cause is not null; cause = cause.InnerException)
        {
            if (cause is SocketException socket)
            {
                return $"{nameof(SocketException)} {socket.SocketErrorCode}";
            }
        }

        return error.GetType().FullName ?? error.GetType().Name;
    }
}
