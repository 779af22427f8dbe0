using System.Net.Security;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Tests.Connections;

/// <summary>
/// The server's end of a TLS connection. It can hold back what it encrypts, so that a test decides which records, or
/// which half of one, arrive together.
/// </summary>
internal sealed class TlsServerEnd : IAsyncDisposable
{
    private readonly HoldingStream _wire;

    public TlsServerEnd(Socket socket)
    {
        Socket = socket;
        _wire = new HoldingStream(new NetworkStream(socket, ownsSocket: true));
        Ssl = new SslStream(_wire);
    }

    public Socket Socket { get; }

    public SslStream Ssl { get; }

    /// <summary>A handshaken pair, with our transport at the client's end.</summary>
    public static async Task<(TlsTransport Client, Socket ClientSocket, TlsServerEnd Server)> ConnectAsync(TlsSettings settings)
    {
        (Socket clientSocket, Socket serverSocket) = await LoopbackSockets.ConnectAsync();
        var server = new TlsServerEnd(serverSocket);
        Task accept = server.AcceptAsync();
        TlsTransport client = await TlsTransport.AuthenticateAsync(new ConnectedSocket(clientSocket), settings, LoopbackSockets.Deadline());
        await accept;
        return (client, clientSocket, server);
    }

    public Task AcceptAsync() => Ssl.AuthenticateAsServerAsync(
        new SslServerAuthenticationOptions { ServerCertificate = TestCertificates.Server }, LoopbackSockets.Deadline());

    /// <summary>Encrypts each message into a record of its own and returns what would be on the wire.</summary>
    public async Task<byte[]> EncryptAsync(params byte[][] messages)
    {
        _wire.Held = new MemoryStream();
        foreach (byte[] message in messages)
        {
            await Ssl.WriteAsync(message, LoopbackSockets.Deadline());
        }

        byte[] bytes = _wire.Held.ToArray();
        _wire.Held = null;
        return bytes;
    }

    public async Task SendRawAsync(ReadOnlyMemory<byte> bytes) => await Socket.SendAsync(bytes, LoopbackSockets.Deadline());

    /// <summary>Echoes until the client closes.</summary>
    public async Task EchoAsync()
    {
        var buffer = new byte[32 * 1024];
        int received;
        while ((received = await Ssl.ReadAsync(buffer)) > 0)
        {
            await Ssl.WriteAsync(buffer.AsMemory(0, received));
        }
    }

    public ValueTask DisposeAsync() => Ssl.DisposeAsync();

    private sealed class HoldingStream(Stream inner) : Stream
    {
        public MemoryStream? Held { get; set; }

        public override bool CanRead => true;

        public override bool CanWrite => true;

        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            Held is null ? inner.WriteAsync(buffer, cancellationToken) : Held.WriteAsync(buffer, cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);

        public override void Flush() => inner.Flush();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
