using System.Threading.Channels;

namespace PooledTcp.Shutdown;

/// <summary>
/// The places for closes under way, MaxClosing in a process: a slow server must not collect sockets without end. A close
/// that finds no place is made quiet at once, if it may be; the others wait here in their order.
/// </summary>
internal sealed class ClosingLane(int places)
{
    // Unbounded: what waits here is bounded by the pools' MaxConnections, since a closing connection counts against it.
    private readonly Channel<TaskCompletionSource> _waiting = Channel.CreateUnbounded<TaskCompletionSource>();
    private int _free = places;

    /// <summary>A place if there is one, and nobody has waited for it longer.</summary>
    public bool TryEnter() => _waiting.Reader.Count == 0 && TryTakePlace();

    public async ValueTask EnterAsync()
    {
        TaskCompletionSource granted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Writer.TryWrite(granted);

        // Published; now look again, for a place that was given back before its giver could see us.
        Grant();
        await granted.Task.ConfigureAwait(false);
    }

    public void Leave()
    {
        Interlocked.Increment(ref _free);
        Grant();
    }

    /// <summary>MaxClosing changed by <paramref name="difference"/>. Fewer places: those in use are given up as they come back.</summary>
    public void Resize(int difference)
    {
        Interlocked.Add(ref _free, difference);
        Grant();
    }

    private void Grant()
    {
        while (_waiting.Reader.Count > 0 && TryTakePlace())
        {
            if (_waiting.Reader.TryRead(out TaskCompletionSource? next))
            {
                next.SetResult();
            }
            else
            {
                // Somebody else served the last one: the place goes back, and the loop looks once more.
                Interlocked.Increment(ref _free);
            }
        }
    }

    private bool TryTakePlace()
    {
        int free = Volatile.Read(ref _free);
        while (free > 0)
        {
            int seen = Interlocked.CompareExchange(ref _free, free - 1, free);
            if (seen == free)
            {
                return true;
            }

            free = seen;
        }

        return false;
    }
}
