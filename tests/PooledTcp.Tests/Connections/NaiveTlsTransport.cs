using System.Net.Security;
using System.Net.Sockets;
using PooledTcp.Configuration;

namespace PooledTcp.Tests.Connections;

/// <summary>What a pool does that trusts the socket under an SslStream: the two TLS findings are its failures.</summary>
internal sealed class NaiveTlsTransport : IDisposable
{
    private readonly Socket _socket;
    private readonly SslStream _ssl;

    private NaiveTlsTransport(Socket socket)
    {
        _socket = socket;
        _ssl = new SslStream(new NetworkStream(socket, ownsSocket: true));
    }

    /// <summary>The usual check: nothing to read on the socket.</summary>
    public bool LooksClean => !_socket.Poll(0, SelectMode.SelectRead) && _socket.Available == 0;

    public static async Task<(NaiveTlsTransport Client, Socket ClientSocket, TlsServerEnd Server)> ConnectAsync(TlsSettings settings)
    {
        (Socket clientSocket, Socket serverSocket) = await LoopbackSockets.ConnectAsync();
        var server = new TlsServerEnd(serverSocket);
        Task accept = server.AcceptAsync();
        var client = new NaiveTlsTransport(clientSocket);
        await client._ssl.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = settings.TargetHost,
                EnabledSslProtocols = settings.Protocols,
                RemoteCertificateValidationCallback = settings.Validate,
            },
            LoopbackSockets.Deadline());
        await accept;
        return (client, clientSocket, server);
    }

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer) => _ssl.ReadAsync(buffer, LoopbackSockets.Deadline());

    public void Dispose() => _ssl.Dispose();
}
