using System.Net;
using System.Net.Sockets;
using PooledTcp.TestSupport;

namespace PooledTcp.IntegrationTests.Support;

/// <summary>A connect callback that knows every socket it made, so the limit is seen at each dial and not by sampling.</summary>
internal sealed class SocketCensus
{
    private readonly List<Socket> _sockets = [];
    private readonly HashSet<string> _inodes = [];

    /// <summary>The most that ever were open or being opened at one moment.</summary>
    public int Peak { get; private set; }

    /// <summary>
    /// Those of them that the kernel still has, as it lists them. Only these sockets: the tests of this process run side by
    /// side, and another's may have a peer of the same port number.
    /// </summary>
    public string[] KernelLines()
    {
        HashSet<string> inodes;
        lock (_sockets)
        {
            inodes = [.. _inodes];
        }

        return ProcessSockets.LinesOf(inodes);
    }

    public async ValueTask<Socket> ConnectAsync(TcpConnectContext context, CancellationToken cancellationToken)
    {
        var endPoint = (IPEndPoint)context.EndPoint;
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        lock (_sockets)
        {
            _sockets.RemoveAll(static s => s.SafeHandle.IsClosed);
            _sockets.Add(socket);
            Peak = Math.Max(Peak, _sockets.Count);
            if (ProcessSockets.CanCount)
            {
                _inodes.Add(ProcessSockets.InodeOf(socket)!);
            }
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
