using System.Net.Sockets;
using PooledTcp.Configuration;

namespace PooledTcp.Connections;

/// <summary>
/// Sets the configured options on a connected socket. What the platform lacks is tried once and remembered (tcp-facts
/// section 2, last row): an unknown option is no reason to refuse a connection, and no reason to throw on every dial.
/// </summary>
internal static class SocketTuning
{
    private const int ProtocolTcp = 6;
    private const int OptionUserTimeout = 18;

    private static volatile bool _lacksKeepAliveTimes;
    private static volatile bool _lacksUserTimeout = !OperatingSystem.IsLinux();

    /// <summary>A unix socket has none of these options and stays as it is.</summary>
    public static void Apply(Socket socket, SocketSettings settings)
    {
        if (!ConnectedSocket.IsTcp(socket))
        {
            return;
        }

        socket.NoDelay = settings.NoDelay;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        if (!_lacksKeepAliveTimes)
        {
            SetKeepAliveTimes(socket, settings);
        }

        if (!_lacksUserTimeout)
        {
            SetUserTimeout(socket, settings.UserTimeout);
        }
    }

    private static void SetKeepAliveTimes(Socket socket, SocketSettings settings)
    {
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, WholeSeconds(settings.KeepAliveTime));
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, WholeSeconds(settings.KeepAliveInterval));
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, settings.KeepAliveCount);
        }
        catch (SocketException e) when (IsUnknownOption(e))
        {
            _lacksKeepAliveTimes = true;
        }
    }

    private static void SetUserTimeout(Socket socket, TimeSpan timeout)
    {
        try
        {
            int milliseconds = (int)Math.Min(int.MaxValue, Math.Ceiling(timeout.TotalMilliseconds));
            socket.SetRawSocketOption(ProtocolTcp, OptionUserTimeout, BitConverter.GetBytes(milliseconds));
        }
        catch (SocketException e) when (IsUnknownOption(e))
        {
            _lacksUserTimeout = true;
        }
    }

    private static bool IsUnknownOption(SocketException e) =>
        e.SocketErrorCode is SocketError.ProtocolOption or SocketError.OperationNotSupported;

    /// <summary>The unit of the option. Rounded up, so that a positive time never becomes "none".</summary>
    private static int WholeSeconds(TimeSpan time) => (int)Math.Min(int.MaxValue, Math.Ceiling(time.TotalSeconds));
}
