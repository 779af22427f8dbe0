using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace PooledTcp.LoadTest.Servers;

/// <summary>Gives every byte back, on as many connections as come; and, told so on its control port, sends them all a FIN at once.</summary>
internal sealed class EchoServer : IAsyncDisposable
{
    private const int Backlog = 16_384;

    private readonly ConcurrentDictionary<Socket, byte> _open = new();
    private readonly Socket _listener;
    private readonly Socket _control;

    private EchoServer(Socket listener, Socket control)
    {
        _listener = listener;
        _control = control;
    }

    public static EchoServer Start(int port, int controlPort)
    {
        EchoServer server = new(Listen(port), Listen(controlPort));
        _ = server.AcceptAsync();
        _ = server.ObeyAsync();
        return server;
    }

    public static Socket Listen(int port)
    {
        Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
        listener.Listen(Backlog);
        return listener;
    }

    public ValueTask DisposeAsync()
    {
        _listener.Dispose();
        _control.Dispose();
        return default;
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket connection = await _listener.AcceptAsync();
            connection.NoDelay = true;
            _open.TryAdd(connection, 0);
            _ = ServeAsync(connection);
        }
    }

    private async Task ServeAsync(Socket connection)
    {
        byte[] buffer = new byte[256];
        try
        {
            int count;
            while ((count = await connection.ReceiveAsync(buffer.AsMemory())) > 0)
            {
                await connection.SendAsync(buffer.AsMemory(0, count));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // A RST, or we were told to close.
        }

        _open.TryRemove(connection, out _);
        connection.Dispose();
    }

    /// <summary>An order is a byte, and so is the answer when it is carried out.</summary>
    private async Task ObeyAsync()
    {
        byte[] order = new byte[1];
        while (true)
        {
            using Socket master = await _control.AcceptAsync();
            while (await master.ReceiveAsync(order.AsMemory()) > 0)
            {
                foreach (Socket connection in _open.Keys)
                {
                    // The FIN alone: a dispose beside the pending receive would make it a RST (tcp-facts section 2).
                    connection.Shutdown(SocketShutdown.Send);
                }

                await master.SendAsync(order.AsMemory());
            }
        }
    }
}
