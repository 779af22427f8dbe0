using System.Diagnostics;
using System.IO.Pipelines;
using System.Net;
using PooledTcp.Shutdown;

namespace PooledTcp.Connections;

/// <summary>What the current lease did, and what its holder may ask. Every entry checks the version first.</summary>
internal sealed partial class TcpConnection
{
    private static readonly StreamPipeReaderOptions ReaderOptions = new(leaveOpen: true);
    private static readonly StreamPipeWriterOptions WriterOptions = new(leaveOpen: true);

    private volatile bool _lost;
    private long _readStyle;
    private StackTrace? _rentedBy;
    private volatile bool _isLost;
    private bool _isObserved;
    private LeaseSpan? _leaseSpan;
    private long _warnedOf;

    public long BytesSent(long version) => Checked(version)._bytesSent;

    public long BytesReceived(long version) => Checked(version)._bytesReceived;

    public bool IsReused(long version) => Checked(version).Uses > 1;

    public TimeSpan Age(long version) => Checked(version)._clock.Read() - CreatedAt;

    public TimeSpan IdleFor(long version) => Checked(version).Uses > 1 ? new TimeSpan(Math.Max(0, _rentedAt - _idleSince)) : TimeSpan.Zero;

    public bool PeerClosed(long version) => Checked(version).IsMarked(Marks.EndOfStream) || _transport.PeerClosed;

    public object? SessionFor(long version) => Checked(version).Session;

    public EndPoint? LocalEndPoint(long version) => Checked(version)._transport.LocalEndPoint;

    /// <summary>A copy: the transport's own is shared with the dials to come, and an end point can be changed.</summary>
    public EndPoint? RemoteEndPoint(long version) =>
        Checked(version)._transport.RemoteEndPoint is var remote && remote is IPEndPoint ip ? new IPEndPoint(ip.Address, ip.Port) : remote;

    public bool SafeToRetry(long version, bool idempotent) =>
        Checked(version).MayBeSentAgain(idempotent);

    /// <summary>
    /// True when the lease runs, its connection failed under it (an error of the socket, the peer's end, an interruption by
    /// the pool; not a cancellation), and the exchange may be sent again. Never throws.
    /// </summary>
    public bool FailedSafely(long version, bool idempotent) =>
        LeaseWord.IsHeldBy(Volatile.Read(ref _word), version) && (_lost || IsMarked(Marks.EndOfStream)) && MayBeSentAgain(idempotent);

    public void ThrowIfStale(long version)
    {
        if (!LeaseWord.IsHeldBy(Volatile.Read(ref _word), version))
        {
            throw new ObjectDisposedException(nameof(TcpLease), "This lease has ended: it was disposed, or it is a copy of one that was.");
        }
    }

    /// <summary>
    /// Without a swap, which was 4 of 37 ns: ADR 13. A stale copy that passes the check while its lease ends may write over the
    /// completion of the next, whose connection is then closed; it names its own lease, so it never completes another's.
    /// </summary>
    public void Complete(long version)
    {
        long word = Volatile.Read(ref _word);
        if (!LeaseWord.IsHeldBy(word, version))
        {
            ThrowIfStale(version);
        }

        Volatile.Write(ref _completedAt, word);
    }

    public Stream StreamFor(LeaseHandle handle, long version) => PerLease(
        ref handle.Stream, handle, version, static (h, v) => new LeaseStream(h, v, ReadStyle.Direct));

    public PipeReader InputFor(LeaseHandle handle, long version)
    {
        ThrowIfStale(version);
        SetReadStyle(version, ReadStyle.Pipe);
        MarkExtras();
        return PerLease(ref handle.Input, handle, version, static (h, v) =>
            new LeasePipeReader(v, PipeReader.Create(new LeaseStream(h, v, ReadStyle.Pipe), ReaderOptions)));
    }

    public PipeWriter OutputFor(LeaseHandle handle, long version)
    {
        ThrowIfStale(version);
        MarkExtras();
        return PerLease(ref handle.Output, handle, version, static (h, v) =>
            new LeasePipeWriter(v, PipeWriter.Create(new LeaseStream(h, v, ReadStyle.Direct), WriterOptions))).Writer;
    }

    /// <summary>
    /// Why a completed lease must not go idle, by its own record; null when that is clean. What may be left in the
    /// transport's buffers is <see cref="Transport.TryPark"/>'s answer.
    /// </summary>
    public CloseReason? FindFault(long version, bool allowOneWay)
    {
        if (InterruptReason is { } interrupted)
        {
            return interrupted;
        }

        if (IsMarked(Marks.Broken))
        {
            return CloseReason.Faulted;
        }

        if (IsMarked(Marks.EndOfStream))
        {
            return CloseReason.PeerClosed;
        }

        // Sent, and nothing came back: the reply may still be on its way, and the next caller would get it.
        if (_bytesSent > 0 && _bytesReceived == 0 && !allowOneWay)
        {
            return CloseReason.ReturnedDirty;
        }

        return HasPipeLeftovers(version) ? CloseReason.ReturnedDirty : null;
    }

    /// <summary>Why a lease that was not completed closes.</summary>
    public CloseReason ReasonNotCompleted() =>
        _isLost ? CloseReason.Leaked
        : InterruptReason ?? (IsMarked(Marks.Broken) ? CloseReason.Faulted
        : IsMarked(Marks.EndOfStream) ? CloseReason.PeerClosed
        : CloseReason.Abandoned);

    /// <summary>Gives the pipes' buffers back. Call it when the lease is over: never flushes.</summary>
    public void ReleasePipes(long version)
    {
        if (_handle?.Input is { } input && input.Version == version)
        {
            input.Release();
            _handle.Input = null;
        }

        if (_handle?.Output is { } output && output.Version == version)
        {
            output.Release();
            _handle.Output = null;
        }
    }

    private bool HasPipeLeftovers(long version) =>
        (_handle?.Input is { } input && input.Version == version && input.HasLeftovers)
        || (_handle?.Output is { } output && output.Version == version && output.UnflushedBytes > 0);

    private void MarkExtras()
    {
        if (!IsMarked(Marks.Extras))
        {
            Mark(Marks.Extras);
        }
    }

    private void CountUse()
    {
        if (++Uses >= MaxUses)
        {
            Mark(Marks.Worn);
        }
    }

    private void BeginRecord()
    {
        _rentedAt = _clock.CoarseTicks;
        _bytesSent = 0;
        _bytesReceived = 0;
        _sendStarted = false;
    }

    private bool MayBeSentAgain(bool idempotent) => Uses > 1 && (!_sendStarted || (idempotent && _bytesReceived == 0));

    private TcpConnection Checked(long version)
    {
        ThrowIfStale(version);
        return this;
    }

    /// <summary>
    /// The record carries the version, since a stale copy may get here after its lease has ended: what it writes then
    /// counts for nobody, and must not tell the next lease that it has read already.
    /// </summary>
    private void SetReadStyle(long version, ReadStyle style)
    {
        long seen = Volatile.Read(ref _readStyle);
        long mine = version | (long)style;
        if (seen == mine)
        {
            return;
        }

        if (LeaseWord.Version(seen) == version)
        {
            throw new InvalidOperationException(
                "Input buffers what it reads, so one lease reads either through Input or through ReceiveAsync and Stream, not both.");
        }

        Volatile.Write(ref _readStyle, mine);
    }

    /// <summary>
    /// Makes a lease's Stream or pipe on first use. A stale copy may run this while the next lease does: the swap against
    /// what was seen before the version check keeps it from replacing the other's object, and the second check from
    /// handing its own out.
    /// </summary>
    private T PerLease<T>(ref T? field, LeaseHandle handle, long version, Func<LeaseHandle, long, T> make)
        where T : class, IPerLease
    {
        T? made = null;
        while (true)
        {
            T? seen = Volatile.Read(ref field);
            ThrowIfStale(version);
            if (seen is not null && seen.Version == version)
            {
                return seen;
            }

            made ??= make(handle, version);
            if (Interlocked.CompareExchange(ref field, made, seen) == seen)
            {
                ThrowIfStale(version);
                return made;
            }

            // Lost to another thread of this lease, or to a stale copy: look whose it is.
        }
    }
}

/// <summary>How a lease reads: settled by its first read.</summary>
internal enum ReadStyle
{
    None,
    Direct,
    Pipe,
}

/// <summary>An object that belongs to one lease and must not outlive it.</summary>
internal interface IPerLease
{
    long Version { get; }
}
