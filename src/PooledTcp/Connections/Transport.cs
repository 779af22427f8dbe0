using System.Net;
using System.Runtime.InteropServices;
using PooledTcp.Ports;
using PooledTcp.Telemetry;

namespace PooledTcp.Connections;

/// <summary>
/// The bytes of one connection and nothing else: a plain socket, TLS over one, or a fake in the unit tests.
/// It knows no pool and no lease. <see cref="TcpConnection"/> guards it, so at most one receive and one send
/// run at a time, and <see cref="TryPark"/> and <see cref="CheckIdle"/> never run beside either.
/// </summary>
internal abstract class Transport : IConnectionEnds
{
    /// <summary>The local end as the kernel names it; null when unknown. IPv4-mapped addresses are folded to IPv4.</summary>
    public abstract EndPoint? LocalEndPoint { get; }

    /// <summary>The remote end that was dialed; null when unknown. IPv4-mapped addresses are folded to IPv4.</summary>
    public abstract EndPoint? RemoteEndPoint { get; }

    /// <summary>True when the peer's FIN or RST is known to the kernel. Costs a system call; for diagnosis, not for the rent path.</summary>
    public abstract bool PeerClosed { get; }

    /// <summary>The socket, when nothing lies between it and the caller's bytes; null when something does (TLS, a fake).</summary>
    public virtual ConnectedSocket? PlainSocket => null;

    /// <summary>Receives at least one byte, or 0 at the end of the stream.</summary>
    public abstract ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Sends the whole buffer.</summary>
    public abstract ValueTask SendAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>True when <see cref="TryPark"/> does something: the caller must then own the connection alone.</summary>
    public abstract bool NeedsParking { get; }

    /// <summary>
    /// Called at return: false if bytes that were read from the kernel are left in our own buffers, so that the
    /// next caller would get them. Looks at our buffers only: no system call.
    /// </summary>
    public abstract bool TryPark();

    /// <summary>Called at rent, after a successful <see cref="TryPark"/>: is the connection still good? Never blocks.</summary>
    public abstract IdleVerdict CheckIdle();

    /// <summary>This connection's page in the port ledger; null when it has no port (a unix socket), or none that is known.</summary>
    public virtual PortAccount? PortAccount => null;

    /// <summary>The socket's descriptor, for the peer-close watch; null when there is none to watch.</summary>
    public virtual SafeHandle? Handle => null;

    /// <summary>
    /// True when the kernel waits for the peer in vain: retransmits are running, or the last ACK is older than
    /// <paramref name="after"/>. Costs a system call; false where nobody can tell (unix sockets, other systems than Linux).
    /// </summary>
    public virtual bool HasVanished(TimeSpan after) => false;

    /// <summary>True on TLS: close_notify is a farewell that every server understands.</summary>
    public abstract bool HasCloseNotify { get; }

    /// <summary>The platform can close without anybody's TIME-WAIT (TCP_LINGER2 = -1: Linux).</summary>
    public abstract bool SupportsQuietClose { get; }

    /// <summary>
    /// The connection has left the pool and nobody uses it: ends what is parked, and hands the socket out for the close.
    /// <see cref="Close"/> follows it in the end.
    /// </summary>
    public abstract IClosingSocket BeginClosing();

    /// <summary>Sends the protocol's farewell, through TLS if there is one; an empty farewell is TLS close_notify.</summary>
    public abstract ValueTask SendFarewellAsync(ReadOnlyMemory<byte> farewell, CancellationToken cancellationToken);

    /// <summary>
    /// Closes the connection; idempotent, never throws, never blocks. Ends a pending receive in such a way that
    /// the close still sends FIN (tcp-facts section 2). Operations in flight end with an error.
    /// </summary>
    public abstract void Close();
}

/// <summary>What <see cref="Transport.CheckIdle"/> found.</summary>
internal enum IdleVerdict
{
    /// <summary>Open, and nothing is waiting to be read.</summary>
    Clean,

    /// <summary>Bytes nobody asked for are waiting: the next caller would take them for a reply.</summary>
    UnreadBytes,

    /// <summary>The peer sent FIN (or TLS close_notify).</summary>
    PeerClosed,

    /// <summary>The peer sent RST: it closed as well, only less kindly.</summary>
    Reset,

    /// <summary>The TLS layer or the socket failed.</summary>
    Faulted,

    /// <summary>The kernel gave the peer up: keepalive or the user timeout ended, or the route is gone.</summary>
    Vanished,
}
