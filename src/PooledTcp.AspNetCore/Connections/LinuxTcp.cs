using System.Net.Sockets;

namespace PooledTcp.AspNetCore.Connections;

/// <summary>Options of Linux that decide how a close looks, and one that tells. Elsewhere nothing happens, and closing goes on without.</summary>
internal static class LinuxTcp
{
    private const int ProtocolTcp = 6;
    private const int OptionCork = 3;
    private const int OptionLinger2 = 8;
    private const int OptionInfo = 11;

    // tcpi_bytes_acked of struct tcp_info, since Linux 4.1.
    private const int BytesAcknowledged = 120;

    /// <summary>
    /// <c>TCP_CORK</c>: the last partial segment is held back (at most 200 ms) until our FIN goes with it. A client that
    /// closes as soon as it reads a goodbye or a close_notify would else send its FIN before ours.
    /// </summary>
    public static bool TryHoldLastSegment(Socket socket) => TrySet(socket, OptionCork, 1);

    /// <summary>
    /// <c>TCP_LINGER2 = -1</c>, the quiet close: neither a FIN_WAIT2 nor a TIME_WAIT is left behind. The kernel first gets
    /// every byte and our FIN acknowledged, then resets; a client that reads to the end sees a clean EOF (tcp-facts row 9).
    /// </summary>
    public static bool TryCloseQuietly(Socket socket) => TrySet(socket, OptionLinger2, -1);

    /// <summary>How many bytes the client's kernel has taken so far; null if nobody can tell.</summary>
    public static ulong? TryGetAcknowledged(Socket socket)
    {
        if (!IsLinuxTcp(socket))
        {
            return null;
        }

        try
        {
            Span<byte> info = stackalloc byte[BytesAcknowledged + sizeof(ulong)];
            return socket.GetRawSocketOption(ProtocolTcp, OptionInfo, info) == info.Length
                ? BitConverter.ToUInt64(info[BytesAcknowledged..])
                : null;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }
    }

    private static bool TrySet(Socket socket, int option, int value)
    {
        if (!IsLinuxTcp(socket))
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

    /// <summary>A unix socket keeps its promises without, and leaves nothing behind.</summary>
    private static bool IsLinuxTcp(Socket socket) =>
        OperatingSystem.IsLinux() && socket.AddressFamily is (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6);
}
