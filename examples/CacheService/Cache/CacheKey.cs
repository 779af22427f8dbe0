using System.Text;

namespace CacheService.Cache;

/// <summary>What a key may be. RESP is binary-safe and takes any; a service had better know its own.</summary>
internal static class CacheKey
{
    public const int MaxBytes = 250;

    /// <summary>Why <paramref name="key"/> is none; null for a good one.</summary>
    public static string? Fault(string key)
    {
        if (string.IsNullOrWhiteSpace(key))
        {
            return "A key is not blank.";
        }

        int bytes = Encoding.UTF8.GetByteCount(key);
        if (bytes > MaxBytes)
        {
            return $"A key has at most {MaxBytes} bytes of UTF-8; this one has {bytes}.";
        }

        return key.Any(char.IsControl) ? "A key has no control characters." : null;
    }
}
