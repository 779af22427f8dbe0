using System.Net.Sockets;

namespace PooledTcp.AspNetCore.Connections;

/// <summary>
/// <c>TCP_LINGER2 = -1</c>: closing leaves neither a FIN_WAIT2 nor a TIME_WAIT behind. The kernel first gets every byte and
/// our FIN acknowledged, then resets; a client that reads to the end sees a clean EOF (tcp-facts row 9).
/// </summary>
internal static class QuietClose
{
    private const int ProtocolTcp = 6;
    private const int OptionLinger2 = 8;

    private static volatile bool _missing = !OperatingSystem.IsLinux();

    /// <summary>Prepares the socket for it. False where it does not exist, or the socket has been closed meanwhile.</summary>
    public static bool TryPrepare(Socket socket)
    {
        // A unix socket leaves nothing behind anyway.
        if (_missing || socket.AddressFamily is not (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6))
        {
            return false;
        }

        try
        {
            socket.SetRawSocketOption(ProtocolTcp, OptionLinger2, BitConverter.GetBytes(-1));
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ProtocolOption or SocketError.OperationNotSupported)
        {
            _missing = true;
            return false;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }
}
