using System.Net.Sockets;

namespace PooledTcp.Connections;

/// <summary>
/// The kernel's own view of a TCP socket (Linux <c>TCP_INFO</c>). Unlike a peek it neither consumes a pending RST nor
/// mistakes bytes that wait in front of a FIN for an open connection.
/// </summary>
internal static class TcpInfo
{
    private const int ProtocolTcp = 6;
    private const int OptionTcpInfo = 11;

    /// <summary>The state as the kernel names it. Linux and TCP only; a closed socket throws ObjectDisposedException.</summary>
    public static TcpSocketState ReadState(Socket socket)
    {
        // The kernel copies as much as fits, and the state is the first byte (tcp-facts section 4).
        Span<byte> state = stackalloc byte[1];
        socket.GetRawSocketOption(ProtocolTcp, OptionTcpInfo, state);
        return (TcpSocketState)state[0];
    }

    /// <summary>True in the states that only a FIN or RST of the peer leads to.</summary>
    public static bool IsPeerClosed(TcpSocketState state) => state
        is TcpSocketState.CloseWait or TcpSocketState.LastAck or TcpSocketState.Closing
        or TcpSocketState.TimeWait or TcpSocketState.Close;
}

/// <summary>The kernel's numbers (<c>net/tcp_states.h</c>).</summary>
internal enum TcpSocketState : byte
{
    Established = 1,
    SynSent = 2,
    SynReceived = 3,
    FinWait1 = 4,
    FinWait2 = 5,
    TimeWait = 6,
    Close = 7,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
}
