using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace PooledTcp.IntegrationTests.Resp;

/// <summary>One reply of a RESP server.</summary>
/// <param name="Type">Its first byte: <c>+ - : $ *</c></param>
/// <param name="Bytes">The text, number, or bulk string; null for a null bulk string and for arrays.</param>
/// <param name="Items">The replies in an array.</param>
internal sealed record RespReply(char Type, byte[]? Bytes, IReadOnlyList<RespReply> Items)
{
    public bool IsError => Type == '-';

    public string? Text => Bytes is null ? null : Encoding.UTF8.GetString(Bytes);

    /// <summary>Takes one whole reply; false, and nothing taken, while some of it is still on its way.</summary>
    public static bool TryParse(ref ReadOnlySequence<byte> buffer, out RespReply? reply)
    {
        var reader = new SequenceReader<byte>(buffer);
        if (!TryParse(ref reader, out reply))
        {
            return false;
        }

        buffer = buffer.Slice(reader.Position);
        return true;
    }

    public static byte[] Command(params ReadOnlySpan<string> words)
    {
        var bytes = new byte[words.Length][];
        for (int i = 0; i < words.Length; i++)
        {
            bytes[i] = Encoding.UTF8.GetBytes(words[i]);
        }

        return Command(bytes);
    }

    public static byte[] Command(params ReadOnlySpan<byte[]> words)
    {
        var command = new ArrayBufferWriter<byte>();
        command.Write(Encoding.ASCII.GetBytes($"*{words.Length}\r\n"));
        foreach (byte[] word in words)
        {
            command.Write(Encoding.ASCII.GetBytes($"${word.Length}\r\n"));
            command.Write(word);
            command.Write("\r\n"u8);
        }

        return command.WrittenSpan.ToArray();
    }

    private static bool TryParse(ref SequenceReader<byte> reader, out RespReply? reply)
    {
        reply = null;
        if (!reader.TryRead(out byte type) || !reader.TryReadTo(out ReadOnlySequence<byte> line, "\r\n"u8))
        {
            return false;
        }

        switch ((char)type)
        {
            case '+' or '-' or ':':
                reply = new RespReply((char)type, line.ToArray(), []);
                return true;
            case '$':
                return TryParseBulk(ref reader, Number(line), out reply);
            case '*':
                return TryParseArray(ref reader, Number(line), out reply);
            default:
                throw new InvalidDataException($"0x{type:x2} begins no reply: the stream is out of step.");
        }
    }

    private static bool TryParseBulk(ref SequenceReader<byte> reader, int length, out RespReply? reply)
    {
        reply = new RespReply('$', null, []);
        if (length < 0)
        {
            return true;
        }

        if (reader.Remaining < length + 2)
        {
            return false;
        }

        reply = new RespReply('$', reader.UnreadSequence.Slice(0, length).ToArray(), []);
        reader.Advance(length);
        return reader.IsNext("\r\n"u8, advancePast: true)
            ? true
            : throw new InvalidDataException("A bulk string does not end where it said: the stream is out of step.");
    }

    private static bool TryParseArray(ref SequenceReader<byte> reader, int count, out RespReply? reply)
    {
        reply = null;
        var items = new List<RespReply>();
        while (items.Count < count)
        {
            if (!TryParse(ref reader, out RespReply? item))
            {
                return false;
            }

            items.Add(item!);
        }

        reply = new RespReply('*', null, items);
        return true;
    }

    private static int Number(in ReadOnlySequence<byte> line) =>
        Utf8Parser.TryParse(line.ToArray(), out int number, out int used) && used == line.Length
            ? number
            : throw new InvalidDataException("A length is not a number: the stream is out of step.");
}
