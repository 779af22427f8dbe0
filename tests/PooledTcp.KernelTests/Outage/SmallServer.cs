using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;

namespace PooledTcp.KernelTests.Outage;

/// <summary>
/// A server that answers a byte with a byte, closes when the client has closed, and knows one farewell to which it answers
/// by closing first. It never closes by itself.
/// </summary>
internal sealed class SmallServer : IDisposable
{
    public const byte Request = (byte)'r';

    /// <summary>As it stands in <see cref="TcpShutdownOptions.Goodbye"/>.</summary>
    public const string Goodbye = "raw:q";

    private const byte Farewell = (byte)'q';

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    private SmallServer(IPEndPoint endPoint)
    {
        EndPoint = endPoint;
        _listener.Bind(endPoint);
        _listener.Listen(4096);
    }

    public IPEndPoint EndPoint { get; }

    public static SmallServer Start(int port = 5001, string address = NamespaceSettings.Server)
    {
        var server = new SmallServer(new IPEndPoint(IPAddress.Parse(address), port));
        _ = server.AcceptAsync();
        return server;
    }

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await _listener.AcceptAsync());
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Disposed. Connections that are open stay open.
        }
    }

    private static async Task ServeAsync(Socket connection)
    {
        using Socket _ = connection;
        byte[] buffer = new byte[16];
        try
        {
            while (true)
            {
                int received = await connection.ReceiveAsync(buffer.AsMemory());
                if (received == 0 || buffer[received - 1] == Farewell)
                {
                    return;
                }

                await connection.SendAsync(buffer.AsMemory(0, received));
            }
        }
        catch (SocketException)
        {
            // The client's RST.
        }
    }
}
