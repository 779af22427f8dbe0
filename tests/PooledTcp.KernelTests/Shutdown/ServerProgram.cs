using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using PooledTcp.KernelTests.Harness;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>
/// The server's end of one connection: a program that reads until it is told to go, and then closes. It notes what it saw
/// and how many bytes arrived.
/// </summary>
internal sealed class ServerProgram : IDisposable
{
    public static readonly ReadOnlyMemory<byte> Quit = Encoding.ASCII.GetBytes("QUIT");

    private readonly Wire _wire;
    private readonly SslStream? _ssl;
    private bool _saidFin;

    public ServerProgram(Socket socket, bool tls)
    {
        Socket = socket;
        _wire = new Wire(socket);
        _ssl = tls ? new SslStream(_wire) : null;
    }

    public Socket Socket { get; }

    /// <summary>
    /// It closes on the protocol's farewell. Otherwise on our FIN alone: whether a server answers close_notify before the FIN
    /// that comes right behind it has arrived is a race, which is CloseRaceTests' concern.
    /// </summary>
    public bool ClosesOnFarewell { get; init; }

    public bool NeverCloses { get; init; }

    /// <summary>Plaintext, the farewell not included.</summary>
    public long Received { get; private set; }

    private Stream Stream => _ssl ?? (Stream)_wire;

    public async Task AcceptTlsAsync(SslProtocols protocol) => await _ssl!.AuthenticateAsServerAsync(
        new SslServerAuthenticationOptions { ServerCertificate = TestCertificate.Server, EnabledSslProtocols = protocol });

    public async Task SendAsync(ReadOnlyMemory<byte> bytes) => await Stream.WriteAsync(bytes);

    public async Task<int> ReceiveAsync(Memory<byte> buffer) => await Stream.ReadAsync(buffer);

    /// <summary>Our side is done; TLS says so first.</summary>
    public async Task SendFinAsync()
    {
        _saidFin = true;
        if (_ssl is not null)
        {
            await _ssl.ShutdownAsync();
        }

        Socket.Shutdown(SocketShutdown.Send);
    }

    /// <summary>Reads to the end, then closes.</summary>
    public async Task<PeerSaw> RunAsync()
    {
        PeerSaw saw = await ReadToEndAsync();
        if (saw == PeerSaw.Farewell && !_saidFin)
        {
            try
            {
                await SendFinAsync();
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // The client has closed for good.
            }
        }

        if (!NeverCloses)
        {
            Dispose();
        }

        return saw;
    }

    public void Dispose() => Socket.Dispose();

    private async Task<PeerSaw> ReadToEndAsync()
    {
        var buffer = new byte[32 * 1024];
        try
        {
            for (int received; (received = await Stream.ReadAsync(buffer)) > 0;)
            {
                Received += received;
                if (ClosesOnFarewell && buffer.AsSpan(0, received).EndsWith(Quit.Span))
                {
                    Received -= Quit.Length;
                    if (!NeverCloses)
                    {
                        return PeerSaw.Farewell;
                    }
                }
            }

            if (_ssl is null || _wire.SawEnd)
            {
                return _ssl is null ? PeerSaw.End : PeerSaw.BareEnd;
            }

            if (ClosesOnFarewell && !NeverCloses)
            {
                return PeerSaw.Farewell;
            }

            // close_notify was read, and what comes behind it?
            return await _wire.ReadAsync(buffer) == 0 ? PeerSaw.End : throw new InvalidDataException("Bytes after close_notify");
        }
        catch (Exception e) when (e is SocketException or { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionReset } })
        {
            return PeerSaw.Reset;
        }
    }

    /// <summary>Tells close_notify, which SslStream reads from, from the end of the connection, which it reads as well.</summary>
    private sealed class Wire(Socket socket) : NetworkStream(socket, ownsSocket: false)
    {
        public bool SawEnd { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int received = await base.ReadAsync(buffer, cancellationToken);
            SawEnd |= received == 0 && !buffer.IsEmpty;
            return received;
        }
    }
}
