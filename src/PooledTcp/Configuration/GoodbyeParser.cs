using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace PooledTcp.Configuration;

/// <summary>
/// Reads a farewell: a name of the <see cref="GoodbyeCatalogue"/>, or <c>raw:</c> and ASCII text with escapes.
/// </summary>
internal static class GoodbyeParser
{
    private const string Raw = "raw:";
    private const string Escapes = @"\r \n \t \0 \\ and \xHH";

    // A farewell is a command; a longer one is a mistake, and must not fill the send buffer of a connection that goes.
    private const int MaxBytes = 1024;

    /// <summary><paramref name="error"/> continues a sentence that begins with the quoted text. Positions count from 1.</summary>
    public static bool TryParse(string text, out GoodbyeBytes farewell, [NotNullWhen(false)] out string? error)
    {
        if (text.StartsWith(Raw, StringComparison.OrdinalIgnoreCase))
        {
            return TryRaw(text, out farewell, out error);
        }

        if (GoodbyeCatalogue.TryGet(text, out farewell))
        {
            error = null;
            return true;
        }

        error = Spelling.Nearest(text, GoodbyeCatalogue.Names) is { } nearest
            ? $"is not a known farewell. Did you mean {nearest}?"
            : $"is not a known farewell. Known are {string.Join(", ", GoodbyeCatalogue.Names)}; "
                + @"write your own as raw: and its bytes, as in raw:QUIT\r\n";
        return false;
    }

    private static bool TryRaw(string text, out GoodbyeBytes farewell, [NotNullWhen(false)] out string? error)
    {
        farewell = default;
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
                : string.Create(CultureInfo.InvariantCulture, $"is {bytes.WrittenCount:N0} bytes long; a farewell has {MaxBytes:N0} at most");
            return false;
        }

        farewell = new GoodbyeBytes(bytes.WrittenMemory);
        error = null;
        return true;
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
