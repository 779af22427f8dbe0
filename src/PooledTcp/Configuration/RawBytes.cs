using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace PooledTcp.Configuration;

/// <summary>Reads bytes written as <c>raw:</c> and ASCII text with escapes: farewells, probes and their answers.</summary>
internal static class RawBytes
{
    private const string Raw = "raw:";
    private const string Escapes = @"\r \n \t \0 \\ and \xHH";

    // They are commands; a longer one is a mistake, and must not fill the send buffer.
    private const int MaxBytes = 1024;

    private const int MaxShown = 100;

    public static bool IsRaw(string text) => text.StartsWith(Raw, StringComparison.OrdinalIgnoreCase);

    /// <param name="text">What was set; it begins with raw:.</param>
    /// <param name="what">"a farewell", for the message.</param>
    /// <param name="parsed">The bytes.</param>
    /// <param name="error">Continues a sentence that begins with the quoted text. Positions count from 1.</param>
    public static bool TryParse(string text, string what, out GoodbyeBytes parsed, [NotNullWhen(false)] out string? error)
    {
        parsed = default;
        var bytes = new ArrayBufferWriter<byte>(text.Length);
        for (var at = Raw.Length; at < text.Length;)
        {
            if (!TryByte(text, ref at, out var value, out error))
            {
                return false;
            }

            bytes.Write([value]);
        }

        if (bytes.WrittenCount is 0 or > MaxBytes)
        {
            error = bytes.WrittenCount == 0
                ? "has no bytes after raw:"
                : string.Create(CultureInfo.InvariantCulture, $"is {bytes.WrittenCount:N0} bytes long; {what} has {MaxBytes:N0} at most");
            return false;
        }

        parsed = new GoodbyeBytes(bytes.WrittenMemory);
        error = null;
        return true;
    }

    /// <summary>
    /// What was set, as a message shows it. What is not raw: was meant as a name, and may be a connection string with its
    /// password. A raw: one is as long as somebody pasted it; what is wrong with it is told by position.
    /// </summary>
    public static string Shown(string text)
    {
        var shown = IsRaw(text) ? text : EndpointAddressParser.Shown(text);
        return shown.Length <= MaxShown ? Escaped(shown) : Escaped(shown[..MaxShown]) + "...";
    }

    /// <summary>A JSON "raw:QUIT\r\n" has real line ends, which would tear the message apart, as others would a terminal.</summary>
    public static string Escaped(string text)
    {
        if (!text.Any(char.IsControl))
        {
            return text;
        }

        var escaped = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            _ = c switch
            {
                '\r' => escaped.Append(@"\r"),
                '\n' => escaped.Append(@"\n"),
                '\t' => escaped.Append(@"\t"),
                _ when char.IsControl(c) => escaped.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:X2}"),
                _ => escaped.Append(c),
            };
        }

        return escaped.ToString();
    }

    private static bool TryByte(string text, ref int at, out byte value, [NotNullWhen(false)] out string? error)
    {
        error = null;
        var position = at + 1;
        var c = text[at++];
        value = (byte)c;
        if (!char.IsAscii(c))
        {
            error = FormattableString.Invariant($"has '{c}' at position {position}, which is not ASCII: write its bytes as \\xHH");
            return false;
        }

        if (c != '\\')
        {
            return true;
        }

        if (at == text.Length)
        {
            error = FormattableString.Invariant($"ends in a single \\ at position {position}: the escapes are {Escapes}");
            return false;
        }

        var escape = text[at++];
        if (escape == 'x')
        {
            var digits = text.AsSpan(at, Math.Min(2, text.Length - at));
            if (digits.Length == 2 && byte.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value))
            {
                at += 2;
                return true;
            }

            error = string.Create(CultureInfo.InvariantCulture, $"has \\x{digits} at position {position}: two hexadecimal digits follow \\x");
            return false;
        }

        var known = @"rnt0\".IndexOf(escape, StringComparison.Ordinal);
        if (known >= 0)
        {
            value = "\r\n\t\0\\"u8[known];
            return true;
        }

        error = FormattableString.Invariant($"has \\{escape} at position {position}: the escapes are {Escapes}");
        return false;
    }
}
