using System.Globalization;

namespace PooledTcp.IntegrationTests.Support;

/// <summary>A part of the system's ephemeral ports, for tests that use up many.</summary>
internal static class PortSlice
{
    private const string Setting = "/proc/sys/net/ipv4/ip_local_port_range";

    /// <summary>For <see cref="TcpPortOptions.Range"/>: the last of them; null where the system does not tell.</summary>
    public static string? Last(int count)
    {
        if (!File.Exists(Setting))
        {
            return null;
        }

        int[] range = [.. File.ReadAllText(Setting).Split('\t', ' ', '\n').Where(static part => part.Length > 0).Select(static part => int.Parse(part, CultureInfo.InvariantCulture))];
        return $"{Math.Max(range[0], range[1] - count + 1)}-{range[1]}";
    }
}
