using System.Diagnostics.CodeAnalysis;

namespace PooledTcp.Configuration;

/// <summary>
/// Reads a farewell: a name of the <see cref="GoodbyeCatalogue"/>, or <c>raw:</c> and ASCII text with escapes.
/// </summary>
internal static class GoodbyeParser
{
    /// <summary><paramref name="error"/> continues a sentence that begins with the quoted text. Positions count from 1.</summary>
    public static bool TryParse(string text, out GoodbyeBytes farewell, [NotNullWhen(false)] out string? error)
    {
        if (RawBytes.IsRaw(text))
        {
            return RawBytes.TryParse(text, "a farewell", out farewell, out error);
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
}
