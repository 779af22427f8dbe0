using System.Buffers.Text;
using System.Text;

namespace OutageReplay.Acts;

/// <summary>As much of the RESP protocol as a request with one string for an answer needs.</summary>
internal static class Resp
{
    /// <summary>A command as clients send it: an array of bulk strings.</summary>
    public static byte[] Command(params ReadOnlySpan<string> words)
    {
        var text = new StringBuilder($"*{words.Length}\r\n");
        foreach (string word in words)
        {
            text.Append($"${Encoding.UTF8.GetByteCount(word)}\r\n{word}\r\n");
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    /// <summary>False while the reply is still incomplete. Bytes behind it mean that we are out of step with the server.</summary>
    /// <exception cref="InvalidDataException">The reply is an error or nothing we asked for.</exception>
    public static bool TryReadBulkString(ReadOnlySpan<byte> received, out string value)
    {
        value = "";
        int endOfLine = received.IndexOf("\r\n"u8);
        if (endOfLine < 0)
        {
            return false;
        }

        if (received[0] != '$' || !Utf8Parser.TryParse(received[1..endOfLine], out int length, out _) || length < 0)
        {
            throw new InvalidDataException($"The server answered: {Encoding.UTF8.GetString(received[..endOfLine])}");
        }

        int start = endOfLine + 2;
        int end = start + length + 2;
        if (received.Length > end)
        {
            throw new InvalidDataException($"The server sent {received.Length - end} bytes behind its reply.");
        }

        if (received.Length < end)
        {
            return false;
        }

        value = Encoding.UTF8.GetString(received.Slice(start, length));
        return true;
    }
}
