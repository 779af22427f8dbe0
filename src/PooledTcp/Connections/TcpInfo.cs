using System.Net.Sockets;
using System.Runtime.InteropServices;

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

    /// <summary>What a close has to know. Linux and TCP only; a closed socket throws ObjectDisposedException.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="vanishedAfter">With no ACK for longer than this the peer counts as gone; keepalive would have had one.</param>
    public static SocketFacts Read(Socket socket, TimeSpan vanishedAfter)
    {
        Span<byte> info = stackalloc byte[148];
        int length = socket.GetRawSocketOption(ProtocolTcp, OptionTcpInfo, info);
        TcpSocketState state = (TcpSocketState)info[0];
        byte retransmits = info[2];
        uint unacknowledged = MemoryMarshal.Read<uint>(info[24..]);
        uint lastAckMilliseconds = MemoryMarshal.Read<uint>(info[56..]);

        // Older kernels give less than asked for: what is not there reads as zero.
        uint notSent = length >= 148 ? MemoryMarshal.Read<uint>(info[144..]) : 0;
        return new SocketFacts
        {
            State = state,
            HasUnsent = unacknowledged > 0 || notSent > 0,
            RoundTrip = TimeSpan.FromMicroseconds(MemoryMarshal.Read<uint>(info[68..])),

            // The age of the last ACK tells of idle connections only: probes of a closed window, which a peer that does not
            // read answers, come further and further apart.
            Vanished = state == TcpSocketState.Established
                && (retransmits > 0 || (unacknowledged == 0 && notSent == 0 && lastAckMilliseconds > vanishedAfter.TotalMilliseconds)),
        };
    }

    /// <summary>True in the states that only a FIN or RST of the peer leads to.</summary>
    public static bool IsPeerClosed(TcpSocketState state) => state
        is TcpSocketState.CloseWait or TcpSocketState.LastAck or TcpSocketState.Closing
        or TcpSocketState.TimeWait or TcpSocketState.Close;
}

/// <summary>What is known of a socket right before its close.</summary>
internal readonly record struct SocketFacts
{
    public TcpSocketState State { get; init; }

    public bool HasUnread { get; init; }

    public bool HasUnsent { get; init; }

    public bool Vanished { get; init; }

    /// <summary>Smoothed, as the kernel measured it; zero when it has not.</summary>
    public TimeSpan RoundTrip { get; init; }
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
