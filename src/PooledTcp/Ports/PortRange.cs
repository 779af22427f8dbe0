using System.Globalization;

namespace PooledTcp.Ports;

/// <summary>Ports from <paramref name="First"/> to <paramref name="Last"/>, both included.</summary>
internal readonly record struct PortRange(int First, int Last)
{
    public int Count => Last - First + 1;

    public bool Contains(int port) => port >= First && port <= Last;

    public bool Contains(PortRange other) => other.First >= First && other.Last <= Last;

    /// <summary>What both have; null when nothing.</summary>
    public PortRange? Intersect(PortRange other)
    {
        var common = new PortRange(Math.Max(First, other.First), Math.Min(Last, other.Last));
        return common.Count > 0 ? common : null;
    }

    /// <summary>Reads <c>40000-40999</c> or <c>40000</c>, ports 1 to 65535.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out PortRange range)
    {
        int dash = text.IndexOf('-');
        ReadOnlySpan<char> first = dash < 0 ? text : text[..dash];
        ReadOnlySpan<char> last = dash < 0 ? text : text[(dash + 1)..];
        bool good = TryParsePort(first, out int low) & TryParsePort(last, out int high) && low <= high;
        range = good ? new PortRange(low, high) : default;
        return good;
    }

    public override string ToString() =>
        First == Last ? First.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{First}-{Last}");

    private static bool TryParsePort(ReadOnlySpan<char> text, out int port) =>
        int.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= 65535;
}
