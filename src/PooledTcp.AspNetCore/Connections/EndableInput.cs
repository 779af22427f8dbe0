using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace PooledTcp.AspNetCore.Connections;

/// <summary>
/// Kestrel's input, which can be ended from our side: the handler then sees the end of the stream where the client has not
/// closed yet, and what has arrived by then is still delivered. Completing it leaves Kestrel's pipe open, to be drained.
/// </summary>
internal sealed class EndableInput(PipeReader inner, TimeProvider time) : PipeReader
{
    private static readonly ReadResult Nothing = new(ReadOnlySequence<byte>.Empty, isCanceled: false, isCompleted: true);

    // Guards the four below. A handler may leave a read behind when it returns; then it and Detach meet here.
    private readonly Lock _gate = new();
    private bool _reading;
    private bool _delivered;
    private SequencePosition _end;
    private TaskCompletionSource? _detached;

    private volatile bool _ended;
    private volatile bool _completed;
    private long _waitingSince;

    /// <summary>True once a read has returned the client's FIN.</summary>
    public bool ClientClosed { get; private set; }

    /// <summary>Since when a read has been waiting for the client; null if none is.</summary>
    public long? WaitingSince => Volatile.Read(ref _waitingSince) is var since and not 0 ? since : null;

    /// <summary>Every read from now on returns at once, completed, with what is there.</summary>
    public void End()
    {
        // In this order: a read that misses the flag finds the cancellation, which a pipe remembers.
        _ended = true;
        inner.CancelPendingRead();
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (!TryBeginRead())
        {
            return ValueTask.FromResult(Nothing);
        }

        ValueTask<ReadResult> read;
        try
        {
            read = inner.ReadAsync(cancellationToken);
        }
        catch
        {
            EndRead();
            throw;
        }

        return read.IsCompletedSuccessfully ? ValueTask.FromResult(Deliver(read.Result)) : WaitAsync(read);
    }

    public override bool TryRead(out ReadResult result)
    {
        if (!TryBeginRead())
        {
            result = Nothing;
            return true;
        }

        try
        {
            if (inner.TryRead(out result))
            {
                result = Deliver(result);
                return true;
            }
        }
        catch
        {
            EndRead();
            throw;
        }

        EndRead();
        return false;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        lock (_gate)
        {
            if (_detached is null)
            {
                inner.AdvanceTo(consumed, examined);
                _delivered = false;
            }
        }
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => _completed = true;

    /// <summary>Takes the pipe back from the handler, with whatever it had read and not advanced.</summary>
    public Task DetachAsync()
    {
        lock (_gate)
        {
            Debug.Assert(_detached is null, "One connection closes once.");
            _detached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_delivered)
            {
                inner.AdvanceTo(_end);
            }

            if (!_reading)
            {
                _detached.SetResult();
            }
        }

        End();
        return _detached.Task;
    }

    /// <summary>
    /// Throws away what arrives, until the client's FIN (true) or more than <paramref name="limit"/> bytes (false), not
    /// counting what is in the pipe. Only after <see cref="DetachAsync"/>. Throws what the transport threw, or a cancellation.
    /// </summary>
    public async Task<bool> DrainAsync(long limit, CancellationToken cancellationToken)
    {
        // What the pipe holds has arrived. (A cancellation left by End is read away by the same call.)
        var discarded = 0L;
        var free = inner.TryRead(out var result);
        while (true)
        {
            if (!free)
            {
                result = await inner.ReadAsync(cancellationToken).ConfigureAwait(false);
                discarded += result.Buffer.Length;
            }

            free = false;
            inner.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                ClientClosed = true;
                return true;
            }

            if (discarded > limit)
            {
                return false;
            }
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> WaitAsync(ValueTask<ReadResult> read)
    {
        // Timestamps of a fake clock may be 0, which says that nobody waits.
        Volatile.Write(ref _waitingSince, Math.Max(1, time.GetTimestamp()));
        ReadResult result;
        try
        {
            result = await read.ConfigureAwait(false);
        }
        catch
        {
            EndRead();
            throw;
        }

        return Deliver(result);
    }

    private bool TryBeginRead()
    {
        if (_completed)
        {
            throw new InvalidOperationException("Reading is not allowed after the input was completed.");
        }

        lock (_gate)
        {
            if (_detached is not null)
            {
                return false;
            }

            if (_reading)
            {
                // Refused here, and not by the pipe: a refused read must not end the one that goes on, for which Detach waits.
                throw new InvalidOperationException("Reading is not allowed while another read is under way.");
            }

            _reading = true;
        }

        if (_ended)
        {
            // Else a read of nothing but bytes that were examined before would wait.
            inner.CancelPendingRead();
        }

        return true;
    }

    private ReadResult Deliver(ReadResult result)
    {
        Volatile.Write(ref _waitingSince, 0);
        lock (_gate)
        {
            _reading = false;
            if (_detached is not null)
            {
                inner.AdvanceTo(result.Buffer.End);
                ClientClosed |= result.IsCompleted;
                _detached.TrySetResult();
                return Nothing;
            }

            _delivered = true;
            _end = result.Buffer.End;
            ClientClosed |= result.IsCompleted;
        }

        return _ended ? new ReadResult(result.Buffer, isCanceled: false, isCompleted: true) : result;
    }

    private void EndRead()
    {
        Volatile.Write(ref _waitingSince, 0);
        lock (_gate)
        {
            _reading = false;
            _detached?.TrySetResult();
        }
    }
}
