namespace PooledTcp.Ports;

/// <summary>
/// TCP states as the kernel's masks: bit n stands for number n of <c>net/tcp_states.h</c>. A TIME_WAIT here is a true
/// one: the kernel reports an orphan that waits for the peer's FIN in the same table as <see cref="FinWait2"/>.
/// </summary>
[Flags]
internal enum TcpStates : uint
{
    None = 0,
    Established = 1 << 1,
    SynSent = 1 << 2,
    SynReceived = 1 << 3,
    FinWait1 = 1 << 4,
    FinWait2 = 1 << 5,
    TimeWait = 1 << 6,
    Close = 1 << 7,
    CloseWait = 1 << 8,
    LastAck = 1 << 9,
    Listen = 1 << 10,
    Closing = 1 << 11,

    /// <summary>SYN received and no full socket yet.</summary>
    NewSynReceived = 1 << 12,

    /// <summary>Bound, neither listening nor connected (Linux 6.8; older kernels ignore the bit).</summary>
    BoundInactive = 1 << 13,

    /// <summary>Everything that takes a port for one tuple: no listeners, no closed sockets.</summary>
    Connections = Established | SynSent | SynReceived | FinWait1 | FinWait2 | TimeWait | CloseWait | LastAck | Closing | NewSynReceived,

    /// <summary>Everything that takes a port at all.</summary>
    All = Connections | Listen | BoundInactive,
}
