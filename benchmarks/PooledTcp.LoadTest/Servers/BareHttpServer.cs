using System.Net.Sockets;

namespace PooledTcp.LoadTest.Servers;

/// <summary>
/// The least that SocketsHttpHandler takes for a server: a POST with 64 bytes is answered by a 200 with the same 64. What the
/// handler itself costs shows best against it.
/// </summary>
internal sealed class BareHttpServer : IAsyncDisposable
{
    private static readonly byte[] Head = [.. "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"u8];

    private readonly Socket _listener;

    private BareHttpServer(Socket listener) => _listener = listener;

    public static BareHttpServer Start(int port)
    {
        BareHttpServer server = new(EchoServer.Listen(port));
        _ = server.AcceptAsync();
        return server;
    }

    public ValueTask DisposeAsync()
    {
        _listener.Dispose();
        return default;
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket connection = await _listener.AcceptAsync();
            connection.NoDelay = true;
            _ = ServeAsync(connection);
        }
    }

    private static async Task ServeAsync(Socket connection)
    {
        using Socket _ = connection;
        byte[] received = new byte[4096];
        byte[] reply = [.. Head, .. new byte[Wire.PayloadLength]];
        int filled = 0;
        try
        {
            while (true)
            {
                int count = await connection.ReceiveAsync(received.AsMemory(filled));
                if (count == 0)
                {
                    return;
                }

                filled += count;
                int end = received.AsSpan(0, filled).IndexOf("\r\n\r\n"u8) + 4;
                if (end < 4 || filled < end + Wire.PayloadLength)
                {
                    continue;
                }

                // One request at a time on a connection: SocketsHttpHandler does not pipeline.
                received.AsSpan(end, Wire.PayloadLength).CopyTo(reply.AsSpan(Head.Length));
                filled = 0;
                await connection.SendAsync(reply.AsMemory());
            }
        }
        catch (SocketException)
        {
            // The client's RST.
        }
    }
}
