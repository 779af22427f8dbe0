using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace PooledTcp.AspNetCore.Connections;

/// <summary>
/// Sends what the handler writes. Kestrel's own send loop shuts the socket down both ways and disposes it the moment its
/// output completes, and a FIN of our own must not overtake what is still in its pipe. So the handler gets a pipe of ours,
/// whose end is seen here, and Kestrel's stays empty until all is over.
/// </summary>
internal sealed class OutputPump
{
    // One send of 40 MB ends when the client has read nearly all of it: till then a download in progress would look idle.
    private const int LongestSend = 65_536;

    private readonly Socket _socket;
    private readonly Pipe _pipe;
    private readonly TimeProvider _time;
    private readonly List<ArraySegment<byte>> _segments = [];
    private long _lastSend;
    private volatile bool _isSending;

    public OutputPump(Socket socket, MemoryPool<byte> pool, long? maxBuffered, TimeProvider time)
    {
        _socket = socket;
        _time = time;
        _lastSend = time.GetTimestamp();
        // Kestrel's own setting and its meaning: FlushAsync waits above it; null is no limit, which a pipe spells 0.
        var pause = maxBuffered ?? 0;
        _pipe = new Pipe(new PipeOptions(
            pool, PipeScheduler.ThreadPool, PipeScheduler.ThreadPool, pause, pause / 2, useSynchronizationContext: false));
    }

    public PipeWriter Writer => _pipe.Writer;

    /// <summary>When bytes last left for the kernel, <see cref="LongestSend"/> of them at most.</summary>
    public long LastSend => Volatile.Read(ref _lastSend);

    /// <summary>Whether bytes wait for room in the kernel.</summary>
    public bool IsSending => _isSending;

    /// <summary>Ends when the writer is completed and all is in the kernel, or with the error that prevented it.</summary>
    public async Task RunAsync()
    {
        var reader = _pipe.Reader;
        try
        {
            while (true)
            {
                var result = await reader.ReadAsync().ConfigureAwait(false);
                var slice = result.Buffer.Slice(0, Math.Min(result.Buffer.Length, LongestSend));
                var isLast = result.IsCompleted && slice.Length == result.Buffer.Length;
                if (!slice.IsEmpty)
                {
                    _isSending = true;
                    await SendAsync(slice).ConfigureAwait(false);
                    Volatile.Write(ref _lastSend, _time.GetTimestamp());
                    _isSending = slice.Length < result.Buffer.Length;
                }

                reader.AdvanceTo(slice.End);
                if (isLast)
                {
                    return;
                }
            }
        }
        finally
        {
            // Without the exception: a writer learns by IsCompleted that nobody reads any more, as with Kestrel's pipe.
            await reader.CompleteAsync().ConfigureAwait(false);
        }
    }

    private async ValueTask SendAsync(ReadOnlySequence<byte> buffer)
    {
        if (buffer.IsSingleSegment)
        {
            await _socket.SendAsync(buffer.First, SocketFlags.None, CancellationToken.None).ConfigureAwait(false);
            return;
        }

        // One system call and full packets, instead of one per block of 4 KB.
        _segments.Clear();
        foreach (var memory in buffer)
        {
            _segments.Add(MemoryMarshal.TryGetArray(memory, out var segment) ? segment : new ArraySegment<byte>(memory.ToArray()));
        }

        await _socket.SendAsync(_segments, SocketFlags.None).ConfigureAwait(false);
    }
}
