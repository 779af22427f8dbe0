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
    /// connection, so it throws only when the two sides are no longer in step; an error reply is a reply like any other.
    /// </summary>
    public static async ValueTask<RespReply> RunAsync(TcpLease lease, ReadOnlyMemory<byte> command, CancellationToken cancellationToken)
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

                return frame.End == filled
                    ? new RespReply(buffer, frame)
                    : throw new RespProtocolException($"{filled - frame.End} bytes follow the reply; nobody asked for them.");
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
