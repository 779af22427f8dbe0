using System.Net;
using System.Net.Sockets;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>
/// An address that answers no SYN, as a host without power does: its accept queue is full, and Linux then drops the SYN
/// (and tries again only when the client does).
/// </summary>
internal sealed class SilentAddress : IDisposable
{
    private readonly Socket _listener;
    private readonly Socket _filler;

    public SilentAddress(IPEndPoint endPoint)
    {
        _listener = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(endPoint);
        _listener.Listen(0);
        _filler = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _filler.Connect(endPoint);
    }

    public void Dispose()
    {
        _filler.Dispose();
        _listener.Dispose();
    }
}
