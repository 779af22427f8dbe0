using PooledTcp.Configuration;

namespace PooledTcp.AspNetCore.Configuration;

/// <summary>The options of one endpoint, valid and fixed.</summary>
internal sealed record ClosePolicySettings(
    ClosingSide ClosesFirst,
    TimeSpan IdleTimeout,
    TimeSpan FlushTimeout,
    TimeSpan DrainTimeout,
    int DrainLimit,
    TimeSpan ClientCloseTimeout,
    bool AllowQuietClose)
{
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);

    /// <exception cref="InvalidClosePolicyException">Some settings are not valid; the message has a line for each.</exception>
    public static ClosePolicySettings Create(ClosePolicyOptions options)
    {
        var faults = new SettingFaults();
        if (!Enum.IsDefined(options.ClosesFirst))
        {
            faults.Add(nameof(options.ClosesFirst), $"{options.ClosesFirst:D} is not one of Server, Client.");
        }

        faults.Range(nameof(options.IdleTimeout), options.IdleTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromDays(24), infinite: true);
        faults.Range(nameof(options.FlushTimeout), options.FlushTimeout, ShortestWait, LongestWait);
        faults.Range(nameof(options.DrainTimeout), options.DrainTimeout, ShortestWait, LongestWait);
        faults.Range(nameof(options.DrainLimit), options.DrainLimit, 0, 1 << 30);
        faults.Range(nameof(options.ClientCloseTimeout), options.ClientCloseTimeout, ShortestWait, LongestWait);

        string[] lines = [.. options.BindingFaults.Concat(faults.Lines(options.ConfigurationPath)).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        return lines.Length > 0
            ? throw new InvalidClosePolicyException(lines)
            : new(
                options.ClosesFirst, options.IdleTimeout, options.FlushTimeout, options.DrainTimeout, options.DrainLimit,
                options.ClientCloseTimeout, options.AllowQuietClose);
    }
}
