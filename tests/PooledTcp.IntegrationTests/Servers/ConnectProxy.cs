using System.Net;
using System.Net.Sockets;
using System.Text;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>An HTTP CONNECT proxy that alone knows where its names are.</summary>
internal sealed class ConnectProxy(IReadOnlyDictionary<string, int> ports) : LineServer
{
    /// <summary>The client's side, as a connect callback of an endpoint.</summary>
    public async ValueTask<Socket> ConnectAsync(TcpConnectContext context, CancellationToken cancellationToken)
    {
        var target = (DnsEndPoint)context.EndPoint; // not resolved: that is left to the proxy
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Port), cancellationToken);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"CONNECT {target.Host}:{target.Port} HTTP/1.1\r\n\r\n"), cancellationToken);
            string answer = await ReadHeadAsync(socket, cancellationToken);
            return answer.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal)
                ? socket
                : throw new HttpRequestException($"The proxy answered {answer.Trim()}");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    protected override async Task ServeAsync(Socket client, CancellationToken cancellationToken)
    {
        string request = await ReadHeadAsync(client, cancellationToken);
        string target = request.Split(' ')[1];
        if (!ports.TryGetValue(target, out int port))
        {
            await client.SendAsync("HTTP/1.1 502 No such host\r\n\r\n"u8.ToArray(), cancellationToken);
            return;
        }

        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await server.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), cancellationToken);
        await client.SendAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), cancellationToken);
        using var relay = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(RelayAsync(client, server, relay.Token), RelayAsync(server, client, relay.Token));
        await relay.CancelAsync();
    }

    private static async Task RelayAsync(Socket from, Socket to, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        int received;
        while ((received = await from.ReceiveAsync(buffer, cancellationToken)) > 0)
        {
            await to.SendAsync(buffer.AsMemory(0, received), cancellationToken);
        }
    }

    /// <summary>Byte by byte: what follows the empty line belongs to somebody else.</summary>
    private static async Task<string> ReadHeadAsync(Socket socket, CancellationToken cancellationToken)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            _ = await socket.ReceiveAsync(one, cancellationToken) > 0 ? head.Append((char)one[0]) : throw new EndOfStreamException();
        }

        return head.ToString();
    }
}
