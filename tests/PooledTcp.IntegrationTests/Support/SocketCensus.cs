using System.Net;
using System.Net.Sockets;

namespace PooledTcp.IntegrationTests.Support;

/// <summary>A connect callback that knows every socket it made, so the limit is seen at each dial and not by sampling.</summary>
internal sealed class SocketCensus
{
    private readonly List<Socket> _sockets = [];

    /// <summary>The most that ever were open or being opened at one moment.</summary>
    public int Peak { get; private set; }

    public async ValueTask<Socket> ConnectAsync(TcpConnectContext context, CancellationToken cancellationToken)
    {
        var endPoint = (IPEndPoint)context.EndPoint;
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        lock (_sockets)
        {
            _sockets.RemoveAll(static s => s.SafeHandle.IsClosed);
            _sockets.Add(socket);
            Peak = Math.Max(Peak, _sockets.Count);
        }

        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
