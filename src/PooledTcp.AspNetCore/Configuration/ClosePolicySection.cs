using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using PooledTcp.Configuration;

namespace PooledTcp.AspNetCore.Configuration;

/// <summary>Binds the section. It throws nothing: what cannot be bound joins the faults that validation finds.</summary>
internal sealed class ClosePolicySection(IConfigurationSection section) : IConfigureOptions<ClosePolicyOptions>
{
    private static readonly Dictionary<string, Action<ClosePolicyOptions, SettingReader>> Settings = new(StringComparer.OrdinalIgnoreCase)
    {
        [nameof(ClosePolicyOptions.ClosesFirst)] = static (o, s) => o.ClosesFirst = s.OneOf(o.ClosesFirst),
        [nameof(ClosePolicyOptions.IdleTimeout)] = static (o, s) => o.IdleTimeout = s.TimeOrInfinite(o.IdleTimeout),
        [nameof(ClosePolicyOptions.FlushTimeout)] = static (o, s) => o.FlushTimeout = s.Time(o.FlushTimeout),
        [nameof(ClosePolicyOptions.DrainTimeout)] = static (o, s) => o.DrainTimeout = s.Time(o.DrainTimeout),
        [nameof(ClosePolicyOptions.DrainLimit)] = static (o, s) => o.DrainLimit = s.Whole(o.DrainLimit),
        [nameof(ClosePolicyOptions.ClientCloseTimeout)] = static (o, s) => o.ClientCloseTimeout = s.Time(o.ClientCloseTimeout),
        [nameof(ClosePolicyOptions.AllowQuietClose)] = static (o, s) => o.AllowQuietClose = s.Switch(o.AllowQuietClose),
    };

    public static IReadOnlyCollection<string> Known => Settings.Keys;

    public void Configure(ClosePolicyOptions options)
    {
        options.ConfigurationPath = section.Path;

        // Read once, at start: nobody asks which keys were there.
        HashSet<string> keys = [];
        foreach (var child in SettingReader.ChildrenOf(section, Known, options.BindingFaults))
        {
            if (Settings.TryGetValue(child.Key, out var set))
            {
                set(options, new SettingReader(child, options.BindingFaults, keys));
            }
            else
            {
                options.BindingFaults.Add(SettingReader.Unknown(child, Known));
            }
        }
    }
}
