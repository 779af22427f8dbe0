using System.Globalization;

namespace PooledTcp.AspNetCore.Stats;

/// <summary>Figures as the page shows them. StatsPage.js has the same five, so that the first figures look like all later ones.</summary>
internal static class Format
{
    public const string None = "–";

    public static string Whole(double? value) => value is { } v ? Math.Floor(v + 0.5).ToString("N0", CultureInfo.InvariantCulture) : None;

    /// <summary>Per second.</summary>
    public static string Rate(double? value) => value switch
    {
        null => None,
        0 => "0",
        < 0.05 => "<0.1",
        < 9.95 => Fixed(value.Value, 1),
        _ => Whole(value),
    };

    public static string Seconds(double? value) => value switch
    {
        null => None,
        0 => "0",
        < 0.000001 => "<1 µs",
        < 0.0009995 => $"{Fixed(value.Value * 1e6, 0)} µs",
        < 0.00995 => $"{Fixed(value.Value * 1e3, 1)} ms",
        < 0.9995 => $"{Fixed(value.Value * 1e3, 0)} ms",
        < 59.95 => $"{Fixed(value.Value, 1)} s",
        _ => Long((long)Math.Floor(value.Value + 0.5)),
    };

    /// <summary>Rounded down: 100 % is said of all only.</summary>
    public static string Share(double? value) => value switch
    {
        null => None,
        0 => "0 %",
        >= 1 => $"{Fixed(value.Value * 100, 0)} %",
        < 0.001 => "<0.1 %",
        _ => $"{Fixed(Math.Floor(value.Value * 1000) / 10, 1)} %",
    };

    private static string Long(long seconds) =>
        seconds < 3600 ? $"{seconds / 60} min {seconds % 60} s"
        : seconds < 86400 ? $"{seconds / 3600} h {seconds % 3600 / 60} min"
        : $"{seconds / 86400} d {seconds % 86400 / 3600} h";

    /// <summary>Rounded by the same operations as in the script: the two runtimes' own roundings differ at a half.</summary>
    private static string Fixed(double value, int digits) => digits == 0
        ? Math.Floor(value + 0.5).ToString("F0", CultureInfo.InvariantCulture)
        : (Math.Floor((value * 10) + 0.5) / 10).ToString("F1", CultureInfo.InvariantCulture);
}
