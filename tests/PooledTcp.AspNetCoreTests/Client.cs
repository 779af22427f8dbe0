using System.Net;
using System.Net.Sockets;
using System.Text;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>A client that does what a test tells it, and reports what its program saw.</summary>
internal sealed class Client : IDisposable
{
    private Client(Socket socket) => Socket = socket;

    public Socket Socket { get; }

    private static CancellationToken Cancellation => Patience.Token;

    public static async Task<Client> ConnectAsync(Server server) => await ConnectAsync(server.EndPoint);

    public static async Task<Client> ConnectAsync(EndPoint server)
    {
        var socket = server is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(server, Cancellation);
        return new Client(socket);
    }

    public async Task SendAsync(string text) => await Socket.SendAsync(Encoding.ASCII.GetBytes(text), Cancellation);

    /// <summary>As many bytes as <paramref name="expected"/> has.</summary>
    public async Task ExpectAsync(string expected)
    {
        var bytes = new byte[expected.Length];
        using var stream = new NetworkStream(Socket, ownsSocket: false);
        await stream.ReadExactlyAsync(bytes, Cancellation);
        Assert.Equal(expected, Encoding.ASCII.GetString(bytes));
    }

    /// <summary>That many bytes, whatever they are.</summary>
    public async Task<int> ReceiveAsync(int count)
    {
        using var stream = new NetworkStream(Socket, ownsSocket: false);
        await stream.ReadExactlyAsync(new byte[count], Cancellation);
        return count;
    }

    /// <summary>All until the end of the stream. A reset throws.</summary>
    public async Task<string> ReadToEndAsync()
    {
        var text = new StringBuilder();
        var buffer = new byte[16_384];
        while (await Socket.ReceiveAsync(buffer, Cancellation) is var count and > 0)
        {
            text.Append(Encoding.ASCII.GetString(buffer, 0, count));
        }

        return text.ToString();
    }

    public void Dispose() => Socket.Dispose();
}
