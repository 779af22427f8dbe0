using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using PooledTcp.Configuration;
using PooledTcp.Ports;

namespace PooledTcp.Connections;

/// <summary>
/// TLS over a raw socket. SslStream hides bytes from the kernel's view (two records arrive, one is read, and the socket
/// looks clean), and TLS 1.3 makes clean sockets readable (session tickets). So an idle connection has a zero-byte
/// <see cref="SslStream"/> read parked in <see cref="TlsInnerStream"/>: if it completes at return, plaintext was buffered;
/// if the socket becomes readable, it tells plaintext, end and error from the messages that concern TLS alone.
/// </summary>
#pragma warning disable CA1001 // Close is this class's dispose
internal sealed class TlsTransport : Transport
#pragma warning restore CA1001
{
    private static readonly ExecutionContext BlankContext = CaptureBlankContext();

    private readonly ConnectedSocket _socket;
    private readonly TlsInnerStream _inner;
    private readonly SslStream _ssl;

    /// <summary>SslStream's zero-byte read while <see cref="TlsInnerStream.IsParked"/>. Owned by whoever takes the inner stream out of that mode.</summary>
    private ValueTask<int> _parkedRead;

    private bool _saidCloseNotify;

    private TlsTransport(ConnectedSocket socket)
    {
        _socket = socket;
        _inner = new TlsInnerStream(socket);
        _ssl = new SslStream(_inner, leaveInnerStreamOpen: true);
    }

    public override EndPoint? LocalEndPoint => _socket.LocalEndPoint;

    public override EndPoint? RemoteEndPoint => _socket.RemoteEndPoint;

    public override bool PeerClosed => _socket.PeerClosed;

    public override PortAccount? PortAccount => _socket.PortAccount;

    public override SafeHandle? Handle => _socket.Handle;

    public override bool HasVanished(TimeSpan after) => _socket.HasVanished(after);

    /// <summary>Runs the client's handshake. On failure or cancellation the socket is closed.</summary>
    public static async ValueTask<TlsTransport> AuthenticateAsync(
        ConnectedSocket socket, TlsSettings settings, CancellationToken cancellationToken)
    {
        var transport = new TlsTransport(socket);
        try
        {
            await transport._ssl.AuthenticateAsClientAsync(ToClientOptions(settings), cancellationToken).ConfigureAwait(false);
            return transport;
        }
        catch
        {
            // The dialer, which accounts for its port, closes the socket.
            transport._ssl.Dispose();
            throw;
        }
    }

    /// <summary>What each handshake is given. Seen by tests: a refused renegotiation gets no answer.</summary>
    internal static SslClientAuthenticationOptions ToClientOptions(TlsSettings settings)
    {
        SslStreamCertificateContext? identity = settings.GetClientCertificate();
        return new SslClientAuthenticationOptions
        {
            TargetHost = settings.TargetHost,
            EnabledSslProtocols = settings.Protocols,
            CertificateRevocationCheckMode = settings.RevocationMode,
            ClientCertificateContext = identity,

            // A resumed session has the client's certificate and not the intermediates: a server that verifies it anew (as
            // SslStream does) refuses. So each dial pays the whole handshake.
            AllowTlsResume = identity is null || identity.IntermediateCertificates.Count == 0,

            RemoteCertificateValidationCallback = settings.Validate,
            ApplicationProtocols = settings.ApplicationProtocols.Length == 0
                ? null
                : [.. settings.ApplicationProtocols.Split(',').Select(static name => new SslApplicationProtocol(name))],

            // TLS 1.2 only: a server that changes the session's parameters on a live connection is refused.
            AllowRenegotiation = false,
        };
    }

    public override ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        _inner.IsParked
            ? ReceiveFromParkAsync(buffer, cancellationToken)
            : _ssl.ReadAsync(buffer, cancellationToken);

    public override ValueTask SendAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) =>
        _ssl.WriteAsync(buffer, cancellationToken);

    public override bool NeedsParking => true;

    public override bool TryPark()
    {
        if (_inner.IsParked)
        {
            // The lease only sent: no byte has been read since the last park.
            return true;
        }

        if (!_inner.AtRecordBoundary || !_inner.TryBeginPark())
        {
            return false;
        }

        // A parked read keeps the ExecutionContext it was started in. The returning caller's (its AsyncLocals, its
        // request) must not live as long as an idle connection, nor run in the next caller's receive.
        ExecutionContext.Run(BlankContext, static transport => ((TlsTransport)transport!).StartRead(Memory<byte>.Empty), this);
        if (_inner.TryPublishParked())
        {
            return true;
        }

        Observe(_parkedRead);
        return false;
    }

    public override IdleVerdict CheckIdle()
    {
        try
        {
            // A look that found something takes it out of the park, and the socket empty: a second look must not find that clean.
            return _socket.IsReadable ? Probe() : _inner.IsParked ? IdleVerdict.Clean : IdleVerdict.Faulted;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return IdleVerdict.Faulted;
        }
    }

    public override bool HasCloseNotify => true;

    public override bool SupportsQuietClose => _socket.QuietSupported;

    public override IClosingSocket BeginClosing()
    {
        // SslStream gives its buffer back. What follows is read from the socket and dropped, so nothing needs decrypting.
        if (_inner.EndParkedRead())
        {
            Observe(_parkedRead);
        }

        return _socket;
    }

    /// <summary>
    /// close_notify goes out once: it may be the goodbye that the server did not answer, and it comes before every FIN of
    /// ours. SslStream throws at the second.
    /// </summary>
    public override ValueTask SendFarewellAsync(ReadOnlyMemory<byte> farewell, CancellationToken cancellationToken)
    {
        if (!farewell.IsEmpty)
        {
            return _ssl.WriteAsync(farewell, cancellationToken);
        }

        if (_saidCloseNotify)
        {
            return default;
        }

        _saidCloseNotify = true;
        return new ValueTask(_ssl.ShutdownAsync().WaitAsync(cancellationToken));
    }

    public override void Close()
    {
        // The read first: SslStream then gives its buffer back before it is disposed.
        if (_inner.EndParkedRead())
        {
            Observe(_parkedRead);
        }

        _socket.Close();

        // Frees the native session now instead of in the finalizer. Sends nothing, and is made to run beside operations
        // in flight, which the socket has just ended.
        _ssl.Dispose();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReceiveFromParkAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(!_inner.TryRelease(cancellationToken), this);
        try
        {
            await _parkedRead.ConfigureAwait(false);
        }
        catch (IOException e) when (e.InnerException is OperationCanceledException && cancellationToken.IsCancellationRequested)
        {
            // SslStream knows nothing of this token and takes the cancellation for a broken transport.
            throw new OperationCanceledException(e.Message, e, cancellationToken);
        }
        finally
        {
            _inner.ForgetReleaseToken();
        }

        return await _ssl.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
    }

    private void StartRead(Memory<byte> buffer)
    {
        try
        {
#pragma warning disable CA2012 // Kept in a field on purpose; consumed once, by whoever ends the park
            _parkedRead = _ssl.ReadAsync(buffer, CancellationToken.None);
#pragma warning restore CA2012
        }
        catch (Exception e)
        {
            // Whatever it is, the caller sees a read that is complete and not parked.
            _parkedRead = new ValueTask<int>(Task.FromException<int>(e));
        }
    }

    /// <summary>The socket is readable: SslStream says why. Not blocking, on this thread.</summary>
    private IdleVerdict Probe()
    {
        if (!_inner.TryProbe())
        {
            return IdleVerdict.Faulted;
        }

        // SslStream is held again, and holds the beginning of a record: encrypted, a stray reply and a ticket look alike
        // until the rest has come.
        if (!_inner.AtRecordBoundary && !_parkedRead.IsCompleted)
        {
            Observe(_parkedRead);
            return IdleVerdict.UnreadBytes;
        }

        if (_inner.TryPublishParked())
        {
            return IdleVerdict.Clean;
        }

        // Not parked and not finished: it wants to write first, or runs on another thread. An answer that
        // must be waited for is not a clean connection.
        if (!_parkedRead.IsCompleted)
        {
            Observe(_parkedRead);
            return IdleVerdict.Faulted;
        }

        try
        {
            CompletedValueTask.Take(_parkedRead);

            // A zero-byte read reports plaintext and the end alike, so one more byte tells. Both are decided inside
            // SslStream by now, without I/O, and the connection is not lent again whatever it is.
            StartRead(new byte[1]);
            if (_parkedRead.IsCompleted)
            {
                return CompletedValueTask.Take(_parkedRead) > 0 ? IdleVerdict.UnreadBytes : IdleVerdict.PeerClosed;
            }

            Observe(_parkedRead);
            return IdleVerdict.Faulted;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return _inner.SawEndOfStream ? IdleVerdict.PeerClosed
                : e.GetBaseException() is SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown } ? IdleVerdict.Reset
                : _inner.AtRecordBoundary ? IdleVerdict.Faulted
                : IdleVerdict.UnreadBytes;
        }
    }

    /// <summary>Consumes a read that nobody waits for any more, whenever it ends and however.</summary>
    private static void Observe(ValueTask<int> read)
    {
        _ = ObserveAsync(read);

        static async Task ObserveAsync(ValueTask<int> read)
        {
            try
            {
                await read.ConfigureAwait(false);
            }
            catch (Exception)
            {
                // The connection is being closed: this is its consequence, and already accounted.
            }
        }
    }

    private static ExecutionContext CaptureBlankContext()
    {
        ExecutionContext? blank = null;
        var thread = new Thread(() => blank = ExecutionContext.Capture()) { IsBackground = true };
        thread.UnsafeStart();
        thread.Join();
        return blank!;
    }
}
