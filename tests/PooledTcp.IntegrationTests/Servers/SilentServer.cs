using System.Net;
using System.Net.Sockets;
using Xunit;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>Accepts when it is told to, and says nothing.</summary>
internal sealed class SilentServer : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public SilentServer()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(2000);
    }

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndPoint!;

    public static PooledTcpClient NewClient(int connections)
    {
        PooledTcpOptions options = new();
        options.Defaults.MaxConnections = connections;
        options.Defaults.MaxConnecting = 16;
        return new PooledTcpClient(options);
    }

    public async Task<Socket[]> TakeAsync(int count)
    {
        Socket[] taken = new Socket[count];
        for (int i = 0; i < count; i++)
        {
            taken[i] = await _listener.AcceptAsync(TestContext.Current.CancellationToken);
        }

        return taken;
    }

    public ValueTask DisposeAsync()
    {
        _listener.Dispose();
        return default;
    }
}
