using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using PooledTcp.Configuration;
using PooledTcp.Ports;

namespace PooledTcp.Connections;

/// <summary>
/// The raw socket under both transports: what is known about it, how everything is sent, how it is looked at without
/// waiting, and the one place that closes it. A Socket and never a NetworkStream or TcpClient, whose own dispose would
/// choose the way to close (tcp-facts section 2).
/// </summary>
internal sealed partial class ConnectedSocket
{
    private readonly Socket _socket;
    private readonly bool _isTcp;
    private readonly bool _hasTcpInfo;
    private EndPoint? _local;
    private int _closed;
    private bool _isLocated;

    /// <summary>Takes over a connected stream socket. The caller still disposes it if this throws.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="portAccount">The ledger's page that its port was taken from.</param>
    /// <param name="dialed">Where it was connected to, if that is known.</param>
    public ConnectedSocket(Socket socket, PortAccount? portAccount = null, IPEndPoint? dialed = null)
    {
        PortAccount = portAccount;

        // Concerns the synchronous calls only: a look at an idle connection must come back even when poll and the
        // receive queue disagree, and a send when the peer does not read.
        socket.Blocking = false;
        _socket = socket;
        _isTcp = IsTcp(socket);
        _hasTcpInfo = _isTcp && PortAbilities.Detected.TcpOptions;

        // Shared by all connections to it, and the local end read when somebody asks: two end points with their addresses, and
        // the copies that Socket keeps of what it was asked for, were 144 of an idle connection's bytes (measured).
        // The unspecified address leads to this host, under another name.
        RemoteEndPoint = Fold(dialed is null || dialed.Address.Equals(IPAddress.Any) || dialed.Address.Equals(IPAddress.IPv6Any) ? PeerOf(socket) : dialed);
    }

    /// <summary>By family: a socket that a connect callback made need not name its protocol.</summary>
    public static bool IsTcp(Socket socket) =>
        socket.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6;

    /// <summary>A peer that reset the connection already has no name any more; the first operation says what happened.</summary>
    public static EndPoint? PeerOf(Socket socket)
    {
        try
        {
            return socket.RemoteEndPoint;
        }
        catch (SocketException)
        {
            return null;
        }
    }

    /// <summary>Null once the socket is closed, unless it was read before.</summary>
    public EndPoint? LocalEndPoint
    {
        get
        {
            try
            {
                return _local ??= Fold(_socket.LocalEndPoint);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return null;
            }
        }
    }

    /// <summary>Not to be given to users: they could change what others dial.</summary>
    public EndPoint? RemoteEndPoint { get; }

    public PortAccount? PortAccount { get; }

    public SafeHandle Handle => _socket.SafeHandle;

    public bool IsClosed => Volatile.Read(ref _closed) != 0;

    /// <summary>Bytes, a FIN or an RST are waiting. The one right test for "still clean" when false (tcp-facts section 4).</summary>
    public bool IsReadable => _socket.Poll(0, SelectMode.SelectRead);

    /// <summary>True when the peer's FIN or RST is here. False after our own close, when the kernel can no longer be asked.</summary>
    public bool PeerClosed
    {
        get
        {
            try
            {
                if (_hasTcpInfo)
                {
                    return TcpInfo.IsPeerClosed(TcpInfo.ReadState(_socket));
                }

                // The error first: a peek would consume the RST, and the lease's next receive would take it for a FIN.
                return _socket.Poll(0, SelectMode.SelectError) || (IsReadable && Peek() is IdleVerdict.PeerClosed or IdleVerdict.Reset);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    /// <summary>Retransmits, or no ACK for longer than <paramref name="after"/>. False where the kernel cannot be asked.</summary>
    public bool HasVanished(TimeSpan after)
    {
        try
        {
            return _hasTcpInfo && TcpInfo.Read(_socket, after).Vanished;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    public void Tune(SocketSettings settings, double random) => SocketTuning.Apply(_socket, settings, random);

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        _socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);

    /// <summary>True: <paramref name="receive"/> hears of the end. False: it has ended already.</summary>
    public bool BeginReceive(SocketReceive receive) => _socket.ReceiveAsync(receive);

    /// <summary>Receives what is there; <see cref="SocketError.WouldBlock"/> instead of waiting.</summary>
    public SocketError ReceiveNow(Span<byte> buffer, out int received)
    {
        received = _socket.Receive(buffer, SocketFlags.None, out SocketError error);
        return error;
    }

    /// <summary>What a readable socket holds. Consumes the error of an RST, so only for a connection that will not be lent again if it is not clean.</summary>
    public IdleVerdict Peek()
    {
        Span<byte> one = stackalloc byte[1];
        int received = _socket.Receive(one, SocketFlags.Peek, out SocketError error);
        return error switch
        {
            SocketError.Success => received > 0 ? IdleVerdict.UnreadBytes : IdleVerdict.PeerClosed,
            SocketError.WouldBlock => IdleVerdict.Clean,

            // What keepalive and the user timeout end in; an ICMP answer on the way says more than that nobody answered.
            SocketError.TimedOut or SocketError.HostUnreachable or SocketError.NetworkUnreachable => IdleVerdict.Vanished,

            // EPIPE is the RST that came after the peer's FIN.
            SocketError.ConnectionReset or SocketError.Shutdown => IdleVerdict.Reset,
            _ => IdleVerdict.Faulted,
        };
    }

    /// <summary>Sends all. Allocates nothing, and needs no state machine when the kernel takes everything at once.</summary>
    /// <remarks>
    /// The first try goes around the socket's asynchronous send, which keeps its event args as long as the connection lives:
    /// half of the 420 bytes that <see cref="SocketReceive"/> tells of, and with any token, through TLS as well.
    /// </remarks>
    public ValueTask SendAllAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        if (buffer.IsEmpty)
        {
            return default;
        }

        int sent = _socket.Send(buffer.Span, SocketFlags.None, out SocketError error);
        return error switch
        {
            SocketError.Success when sent == buffer.Length => default,
            SocketError.Success or SocketError.WouldBlock => SendRestAsync(buffer[sent..], cancellationToken),
            _ => ValueTask.FromException(new SocketException((int)error)),
        };
    }

    /// <summary>Sends what the kernel takes at once and drops the rest: for the last words of a failed TLS handshake.</summary>
    public void SendNow(ReadOnlySpan<byte> buffer) => _socket.Send(buffer, SocketFlags.None, out _);

    /// <summary>
    /// The one place that closes. Idempotent, thread-safe, never throws, never blocks.
    /// </summary>
    public void Close()
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0)
        {
            return;
        }

        try
        {
            // First, because Dispose with a receive pending is an RST (tcp-facts section 2, first row); after this it is a FIN.
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The peer's RST was here first: there is nobody left to send a FIN to.
        }

        _socket.Dispose();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendRestAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!buffer.IsEmpty)
        {
            int sent = await _socket.SendAsync(buffer, SocketFlags.None, cancellationToken).ConfigureAwait(false);
            buffer = buffer[sent..];
        }
    }

    private static EndPoint? Fold(EndPoint? endPoint) =>
        endPoint is IPEndPoint { Address.IsIPv4MappedToIPv6: true } mapped
            ? new IPEndPoint(mapped.Address.MapToIPv4(), mapped.Port)
            : endPoint;
}
