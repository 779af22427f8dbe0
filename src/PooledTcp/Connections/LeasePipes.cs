using System.Buffers;
using System.IO.Pipelines;

namespace PooledTcp.Connections;

/// <summary>
/// A lease's <see cref="PipeReader"/>. It adds one thing to the framework's: a count of the bytes it holds that the caller
/// has not consumed, examined or not, since those would be lost to the next caller.
/// </summary>
internal sealed class LeasePipeReader(long version, PipeReader inner) : PipeReader, IPerLease
{
    private ReadOnlySequence<byte> _current;
    private long _unread;
    private volatile bool _reading;

    public long Version => version;

    /// <summary>Bytes are held, or a read that may have taken some has not told its caller yet.</summary>
    public bool HasLeftovers => _reading || _unread > 0;

    public override bool TryRead(out ReadResult result) => inner.TryRead(out result) && Note(result);

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            // Nothing was started, so nothing is held.
            return ValueTask.FromCanceled<ReadResult>(cancellationToken);
        }

        _reading = true;
        ValueTask<ReadResult> read = inner.ReadAsync(cancellationToken);
        if (!read.IsCompletedSuccessfully)
        {
            return AwaitAsync(read);
        }

        ReadResult result = read.Result;
        Note(result);
        return new ValueTask<ReadResult>(result);
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        // Before the inner call: it may give the consumed segments back, and the sequence with them.
        long unread = _current.Slice(consumed).Length;
        inner.AdvanceTo(consumed, examined);
        _unread = unread;
        _current = default;
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    public void Release()
    {
        _current = default;
        inner.Complete();
    }

    private async ValueTask<ReadResult> AwaitAsync(ValueTask<ReadResult> read)
    {
        ReadResult result = await read.ConfigureAwait(false);
        Note(result);
        return result;
    }

    private bool Note(in ReadResult result)
    {
        _current = result.Buffer;
        _unread = result.Buffer.Length;
        _reading = false;
        return true;
    }
}

/// <summary>A lease's <see cref="PipeWriter"/> with the version it belongs to.</summary>
internal sealed class LeasePipeWriter(long version, PipeWriter writer) : IPerLease
{
    // Complete() with an exception is the one way to release a stream pipe writer's buffers without flushing them.
    private static readonly OperationCanceledException NotFlushed = new("The lease ended.");

    public long Version => version;

    public PipeWriter Writer => writer;

    public long UnflushedBytes => writer.UnflushedBytes;

    public void Release() => writer.Complete(NotFlushed);
}
