using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace PooledTcp.Connections;

/// <summary>
/// What SslStream reads from and writes to: the raw socket, plus a place to park a read while the connection is idle.
/// <para>
/// SslStream begins every record with a zero-byte read, its way to wait without a buffer. That read is what is parked:
/// it costs no system call, and it proves that SslStream has decrypted everything it held and found no plaintext.
/// </para>
/// <para>
/// Modes: Flowing (a lease reads) -> Parking (TryPark has started the read) -> Held (it came here) -> Parked (published) ->
/// Flowing (the next lease's receive) or Probing (CheckIdle found the socket readable) -> Held again. Closed ends them all.
/// Every change is one compare-and-swap, because Close may run beside any of them: whoever moves the read out of Held
/// or Parked, and nobody else, completes it.
/// </para>
/// </summary>
internal sealed class TlsInnerStream : Stream, IValueTaskSource<int>
{
    private const int Flowing = 0;
    private const int Parking = 1;
    private const int Probing = 2;
    private const int Held = 3;
    private const int Parked = 4;
    private const int Closed = 5;

    private readonly ConnectedSocket _socket;

    // Continuations run inline (the default): SslStream's answer must be there when Probe returns.
    private ManualResetValueTaskSourceCore<int> _parkedRead;
    private TlsRecordTracker _records;
    private CancellationToken _releaseToken;
    private int _mode;
    private bool _endsQuietly;

    public TlsInnerStream(ConnectedSocket socket) => _socket = socket;

    public bool IsParked => Volatile.Read(ref _mode) == Parked;

    /// <summary>False while SslStream holds the beginning of a record whose end has not come.</summary>
    public bool AtRecordBoundary => _records.AtBoundary;

    /// <summary>The peer's FIN was read.</summary>
    public bool SawEndOfStream { get; private set; }

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>From now on the read that SslStream starts is held instead of going to the socket.</summary>
    public bool TryBeginPark() => TryMove(Flowing, Parking);

    /// <summary>
    /// Publishes a held read. A step of its own, because Close may take the read over as soon as it is published, and the
    /// caller must have stored SslStream's task by then. False when SslStream's read never came here, or Close did.
    /// </summary>
    public bool TryPublishParked() => TryMove(Held, Parked);

    /// <summary>
    /// Sends the parked read to the socket, under the token of the receive that wants it: SslStream was started without one.
    /// False when Close was first.
    /// </summary>
    public bool TryRelease(CancellationToken cancellationToken)
    {
        // Before the move: after it the read may run. Nothing reads it while the read is parked.
        _releaseToken = cancellationToken;
        return TryComplete(Flowing);
    }

    /// <summary>The released read is over: later ones bring their caller's token through SslStream.</summary>
    public void ForgetReleaseToken() => _releaseToken = default;

    /// <summary>
    /// Lets SslStream read what the kernel has, and no more: it consumes tickets and key updates and comes back to be
    /// held, or it finishes. Its code runs on this stack. False when Close was first.
    /// </summary>
    public bool TryProbe() => TryComplete(Probing);

    /// <summary>
    /// Ends the parked read, if any, with an end of stream: SslStream then gives its buffer back without the cost of an
    /// exception. True when there was a published one, whose task is now the caller's to observe.
    /// </summary>
    public bool EndParkedRead()
    {
        int was = Interlocked.Exchange(ref _mode, Closed);
        if (was is Held or Parked)
        {
            _endsQuietly = true;
            _parkedRead.SetResult(0);
        }

        return was == Parked;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        switch (Volatile.Read(ref _mode))
        {
            case Flowing:
                // A lease waits for its reply, so the buffer is about to be filled: the zero-byte wait would be a wasted system call.
                return buffer.IsEmpty
                    ? default
                    : ReceiveAsync(buffer, cancellationToken.CanBeCanceled ? cancellationToken : _releaseToken);

            case Parking:
                return Hold(Parking, buffer);

            case Probing:
                return buffer.IsEmpty
                    ? _socket.IsReadable ? default : Hold(Probing, buffer)
                    : new ValueTask<int>(ReceiveNow(buffer.Span));

            default:
                ObjectDisposedException.ThrowIf(!_endsQuietly, this);
                return default;
        }
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _socket.SendAllAsync(buffer, cancellationToken);

    /// <summary>SslStream writes synchronously only to tell the peer why it refuses the certificate; the socket closes next.</summary>
    public override void Write(ReadOnlySpan<byte> buffer) => _socket.SendNow(buffer);

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    int IValueTaskSource<int>.GetResult(short token) => _parkedRead.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _parkedRead.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _parkedRead.OnCompleted(continuation, state, token, flags);

    private ValueTask<int> Hold(int from, Memory<byte> buffer)
    {
        // A runtime whose SslStream skips the zero-byte read cannot be parked: its read ends, TryPark fails, and the
        // connection is not reused. Slower, never wrong.
        if (!buffer.IsEmpty)
        {
            return default;
        }

        // Reset before the move: from then on Close may complete it.
        _parkedRead.Reset();
        var parked = new ValueTask<int>(this, _parkedRead.Version);
        ObjectDisposedException.ThrowIf(!TryMove(from, Held), this);
        return parked;
    }

    private bool TryComplete(int mode)
    {
        if (!TryMove(Parked, mode))
        {
            return false;
        }

        _parkedRead.SetResult(0);
        return true;
    }

    private ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ValueTask<int> receive = _socket.ReceiveAsync(buffer, cancellationToken);
        return receive.IsCompletedSuccessfully
            ? new ValueTask<int>(Delivered(buffer.Span, CompletedValueTask.Take(receive)))
            : AwaitReceiveAsync(receive, buffer);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> AwaitReceiveAsync(ValueTask<int> receive, Memory<byte> buffer)
    {
        int received = await receive.ConfigureAwait(false);
        return Delivered(buffer.Span, received);
    }

    /// <summary>Non-blocking. A record that has only begun to arrive ends the read like an end of stream would; the tracker tells them apart.</summary>
    private int ReceiveNow(Span<byte> buffer)
    {
        SocketError error = _socket.ReceiveNow(buffer, out int received);
        return error switch
        {
            SocketError.Success => Delivered(buffer, received),
            SocketError.WouldBlock => 0,
            _ => throw new SocketException((int)error),
        };
    }

    private int Delivered(ReadOnlySpan<byte> buffer, int received)
    {
        SawEndOfStream |= received == 0;
        _records.Advance(buffer[..received]);
        return received;
    }

    private bool TryMove(int from, int to) => Interlocked.CompareExchange(ref _mode, to, from) == from;
}
