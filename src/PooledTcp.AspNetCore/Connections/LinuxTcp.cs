using System.Net.Sockets;

namespace PooledTcp.AspNetCore.Connections;

/// <summary>Two options of Linux that decide how a close looks. Elsewhere both say false, and closing goes on without.</summary>
internal static class LinuxTcp
{
    private const int ProtocolTcp = 6;
    private const int OptionCork = 3;
    private const int OptionLinger2 = 8;

    /// <summary>
    /// <c>TCP_CORK</c>: the last partial segment is held back (at most 200 ms) until our FIN goes with it. A client that
    /// closes as soon as it reads a goodbye would else send its FIN before ours: 1 in 10 did, after a close_notify.
    /// </summary>
    public static bool TryHoldLastSegment(Socket socket) => TrySet(socket, OptionCork, 1);

    /// <summary>
    /// <c>TCP_LINGER2 = -1</c>, the quiet close: neither a FIN_WAIT2 nor a TIME_WAIT is left behind. The kernel first gets
    /// every byte and our FIN acknowledged, then resets; a client that reads to the end sees a clean EOF (tcp-facts row 9).
    /// </summary>
    public static bool TryCloseQuietly(Socket socket) => TrySet(socket, OptionLinger2, -1);

    private static bool TrySet(Socket socket, int option, int value)
    {
        // A unix socket keeps its promises without, and leaves nothing behind.
        if (!OperatingSystem.IsLinux() || socket.AddressFamily is not (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6))
        {
            return false;
        }

        try
        {
            socket.SetRawSocketOption(ProtocolTcp, option, BitConverter.GetBytes(value));
            return true;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Both options are as old as Linux 2.4; what fails is a socket that is gone.
            return false;
        }
    }
}
