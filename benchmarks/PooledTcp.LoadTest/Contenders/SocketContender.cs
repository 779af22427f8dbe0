using System.Net;
using System.Net.Sockets;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>One persistent async socket for each worker: the floor. No pool can be faster than having no need of one.</summary>
internal sealed class SocketContender(string name, IPEndPoint server, Wire wire, int workers) : Contender(name)
{
    private readonly Socket[] _sockets = new Socket[workers];

    public static async Task<Socket> ConnectAsync(IPEndPoint server)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(server);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public override async Task OpenAsync()
    {
        for (int i = 0; i < workers; i++)
        {
            _sockets[i] = await ConnectAsync(server);
        }
    }

    public override async Task WorkAsync(Worker worker)
    {
        Socket socket = _sockets[worker.Number];
        byte[] buffer = new byte[wire.ReplyLength];
        while (worker.Goes)
        {
            await socket.SendAsync(wire.Request.AsMemory());
            int received = 0;
            while (received < buffer.Length)
            {
                int count = await socket.ReceiveAsync(buffer.AsMemory(received));
                received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
            }

            worker.Done();
        }
    }

    protected override ValueTask CloseAsync()
    {
        Array.ForEach(_sockets, static socket => socket?.Close(0));
        return default;
    }
}

/// <summary>A connection for each request, which the client closes first. Over 127.0.0.1 the kernel uses their ports again after a second (tcp-facts section 3).</summary>
internal sealed class ConnectContender(IPEndPoint server, Wire wire) : Contender("connect per request")
{
    public override async Task WorkAsync(Worker worker)
    {
        byte[] buffer = new byte[wire.ReplyLength];
        while (worker.Goes)
        {
            using Socket socket = await SocketContender.ConnectAsync(server);
            await socket.SendAsync(wire.Request.AsMemory());
            int received = 0;
            while (received < buffer.Length)
            {
                int count = await socket.ReceiveAsync(buffer.AsMemory(received));
                received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
            }

            worker.Done();
        }
    }
}
