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

    /// <summary>
    /// Connections that were last used together are probed together, in one tick of the kernel's timers (2 s wide beyond 16 s, 0.26 s
    /// below), and its backlog takes 1,000 packets per CPU at once: of 10,000 idle connections over loopback 5,996 healthy ones lost
    /// every probe and were given up after 36 s. With a quarter 0 to 379 were, with half none so far. Probes that the kernel dropped in that
    /// time: 1,926 with a quarter, 703 with half; if all timers were one CPU's, 4,485 and 4,538 with a quarter, 30 and 654 with half.
    /// </summary>
    private const double KeepAliveJitter = 0.5;

    private static volatile bool _lacksKeepAliveTimes;
    private static volatile bool _lacksUserTimeout = !OperatingSystem.IsLinux();

    /// <summary>A unix socket has none of these options and stays as it is.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="settings">What to set.</param>
    /// <param name="random">0 to 1: this connection's share of the jitter.</param>
    public static void Apply(Socket socket, SocketSettings settings, double random)
    {
        if (!ConnectedSocket.IsTcp(socket))
        {
            return;
        }

        socket.NoDelay = settings.NoDelay;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        if (!_lacksKeepAliveTimes)
        {
            SetKeepAliveTimes(socket, settings, random);
        }

        if (!_lacksUserTimeout)
        {
            SetUserTimeout(socket, settings.UserTimeout);
        }
    }

    /// <summary>
    /// The idle time of one connection: <paramref name="time"/> less up to half of it (that half rounded up to whole seconds, the unit of the
    /// option), and never none. Never more: <see cref="SocketSettings.KeepAliveTotal"/> stays the longest that a peer which is there is silent.
    /// </summary>
    public static int DrawKeepAliveSeconds(TimeSpan time, double random)
    {
        int longest = WholeSeconds(time);
        int spread = Math.Min(longest - 1, (int)Math.Ceiling(longest * KeepAliveJitter));
        return longest - Math.Min(spread, (int)(random * (spread + 1)));
    }

    private static void SetKeepAliveTimes(Socket socket, SocketSettings settings, double random)
    {
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, DrawKeepAliveSeconds(settings.KeepAliveTime, random));
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
