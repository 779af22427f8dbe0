using System.Buffers.Text;

namespace CacheService.Resp;

/// <summary>Where one reply lies among the bytes received so far.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Start">First byte of its payload.</param>
/// <param name="Length">Bytes of payload.</param>
/// <param name="End">The byte after the reply.</param>
/// <param name="Number">The value of an integer.</param>
internal readonly record struct RespFrame(RespKind Kind, int Start, int Length, int End, long Number = 0)
{
    /// <summary>
    /// Finds the reply that <paramref name="received"/> begins with. False while some of it is on its way;
    /// <paramref name="needed"/> then tells how many bytes it has at least, line end included.
    /// </summary>
    /// <exception cref="RespProtocolException">This is no reply to a command of this service.</exception>
    public static bool TryParse(ReadOnlySpan<byte> received, out RespFrame frame, out int needed)
    {
        frame = default;
        needed = received.Length + 1;
        if (received.IsEmpty)
        {
            return false;
        }

        RespKind kind = KindOf(received[0]);
        int lineEnd = received.IndexOf("\r\n"u8);
        if (lineEnd < 0)
        {
            return false;
        }

        ReadOnlySpan<byte> line = received[1..lineEnd];
        int afterLine = lineEnd + 2;
        switch (kind)
        {
            case RespKind.Integer:
                frame = new RespFrame(kind, 1, line.Length, afterLine, ParseNumber(line));
                return true;
            case RespKind.Bulk:
                return TryParseBulk(received, ParseNumber(line), afterLine, out frame, out needed);
            default:
                frame = new RespFrame(kind, 1, line.Length, afterLine);
                return true;
        }
    }

    private static bool TryParseBulk(ReadOnlySpan<byte> received, long length, int start, out RespFrame frame, out int needed)
    {
        frame = new RespFrame(RespKind.Null, start, 0, start);
        needed = start;
        if (length == -1)
        {
            return true;
        }

        if (length is < 0 or > RespExchange.MaxReplyBytes)
        {
            throw new RespProtocolException(
                $"The server announced a value of {length} bytes; this service takes 0 to {RespExchange.MaxReplyBytes}.");
        }

        frame = new RespFrame(RespKind.Bulk, start, (int)length, start + (int)length + 2);
        needed = frame.End;
        if (received.Length < needed)
        {
            return false;
        }

        return received[(needed - 2)..needed].SequenceEqual("\r\n"u8)
            ? true
            : throw new RespProtocolException("A value does not end where the server said it would.");
    }

    private static RespKind KindOf(byte type) => type switch
    {
        (byte)'+' => RespKind.Simple,
        (byte)'-' => RespKind.Error,
        (byte)':' => RespKind.Integer,
        (byte)'$' => RespKind.Bulk,
        _ => throw new RespProtocolException($"0x{type:x2} begins no reply to a command of this service."),
    };

    private static long ParseNumber(ReadOnlySpan<byte> digits) =>
        Utf8Parser.TryParse(digits, out long number, out int used) && used == digits.Length
            ? number
            : throw new RespProtocolException("A number in the reply is none.");
}
