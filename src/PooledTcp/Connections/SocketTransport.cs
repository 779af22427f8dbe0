using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using PooledTcp.Ports;

namespace PooledTcp.Connections;

/// <summary>A plain connection: every byte goes straight between the caller's buffer and the kernel.</summary>
internal sealed class SocketTransport : Transport
{
    private readonly ConnectedSocket _socket;

    public SocketTransport(ConnectedSocket socket) => _socket = socket;

    public override EndPoint? LocalEndPoint => _socket.LocalEndPoint;

    public override EndPoint? RemoteEndPoint => _socket.RemoteEndPoint;

    public override bool PeerClosed => _socket.PeerClosed;

    public override PortAccount? PortAccount => _socket.PortAccount;

    public override SafeHandle? Handle => _socket.Handle;

    public override bool HasVanished(TimeSpan after) => _socket.HasVanished(after);

    public override ConnectedSocket? PlainSocket => _socket;

    public override ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        _socket.ReceiveAsync(buffer, cancellationToken);

    public override ValueTask SendAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) =>
        _socket.SendAllAsync(buffer, cancellationToken);

    public override bool NeedsParking => false;

    /// <summary>There are no buffers of ours.</summary>
    public override bool TryPark() => true;

    public override IdleVerdict CheckIdle()
    {
        try
        {
            return _socket.IsReadable ? _socket.Peek() : IdleVerdict.Clean;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return IdleVerdict.Faulted;
        }
    }

    public override bool HasCloseNotify => false;

    public override bool SupportsQuietClose => _socket.QuietSupported;

    public override IClosingSocket BeginClosing() => _socket;

    public override ValueTask SendFarewellAsync(ReadOnlyMemory<byte> farewell, CancellationToken cancellationToken) =>
        _socket.SendAllAsync(farewell, cancellationToken);

    public override void Close() => _socket.Close();
}
