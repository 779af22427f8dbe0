using System.Buffers;
using PooledTcp;

namespace CacheService.Resp;

/// <summary>One command and its reply on a leased connection.</summary>
internal static class RespExchange
{
    /// <summary>The largest value taken from the server, 16 MB: a broken length must not become a buffer of gigabytes.</summary>
    public const int MaxReplyBytes = 16 << 20;

    // Most replies are an OK, a number or a small value; a larger one tells its length in its first line.
    private const int FirstBuffer = 1024;

    /// <summary>
    /// For <see cref="TcpPool"/>'s ExecuteAsync: returns after the last byte of the reply. What it throws makes the pool close the
    /// connection, so it throws when the two sides are no longer in step, and only then; an error reply is a reply like any other.
    /// </summary>
    /// <param name="expected">
    /// Kinds of reply that this command has, besides an error. Any other is somebody else's reply, and the next one would be, too:
    /// so this is checked here, while the connection can still be closed.
    /// </param>
    public static async ValueTask<RespReply> RunAsync(
        TcpLease lease, ReadOnlyMemory<byte> command, ReadOnlyMemory<RespKind> expected, CancellationToken cancellationToken)
    {
        await lease.SendAsync(command, cancellationToken);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        try
        {
            int filled = 0;
            while (true)
            {
                int received = await lease.ReceiveAsync(buffer.AsMemory(filled), cancellationToken);
                filled += received > 0 ? received : throw new EndOfStreamException("The server closed the connection before its reply was complete.");
                if (!RespFrame.TryParse(buffer.AsSpan(0, filled), out RespFrame frame, out int needed))
                {
                    buffer = MakeRoom(buffer, filled, needed);
                    continue;
                }

                if (frame.End != filled)
                {
                    throw new RespProtocolException($"{filled - frame.End} bytes follow the reply; nobody asked for them.");
                }

                return frame.Kind == RespKind.Error || expected.Span.Contains(frame.Kind)
                    ? new RespReply(buffer, frame)
                    : throw new RespProtocolException($"A reply of kind {frame.Kind} came where {string.Join(" or ", expected.ToArray())} was due.");
            }
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(buffer);
            throw;
        }
    }

    private static byte[] MakeRoom(byte[] buffer, int filled, int needed)
    {
        if (needed <= buffer.Length)
        {
            return buffer;
        }

        if (needed > MaxReplyBytes + FirstBuffer)
        {
            throw new RespProtocolException("A line of the reply does not end.");
        }

        byte[] larger = ArrayPool<byte>.Shared.Rent(needed);
        buffer.AsSpan(0, filled).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }
}
