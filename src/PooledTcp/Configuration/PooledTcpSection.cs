using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace PooledTcp.Configuration;

/// <summary>
/// Binds one configuration section onto the options: defaults first, then each endpoint over a copy of them. It throws
/// nothing: what cannot be bound joins the faults that validation finds.
/// </summary>
internal sealed class PooledTcpSection(IConfigurationSection section) : IConfigureOptions<PooledTcpOptions>
{
    private const string MaxTotalConnections = nameof(PooledTcpOptions.MaxTotalConnections);
    private const string MaxClosing = nameof(PooledTcpOptions.MaxClosing);
    private const string Telemetry = nameof(PooledTcpOptions.Telemetry);
    private const string Defaults = nameof(PooledTcpOptions.Defaults);
    private const string Endpoints = nameof(PooledTcpOptions.Endpoints);
    /// <summary>The server half (PooledTcp.AspNetCore) reads its own part of the same section.</summary>
    private const string Server = "Server";

    private static readonly string[] Known = [MaxTotalConnections, MaxClosing, Telemetry, Defaults, Endpoints, Server];

    public string Path => section.Path;

    /// <summary>False when nothing is in it: removed, or its file was emptied.</summary>
    public bool HasContent => section.GetChildren().Any();

    public void Configure(PooledTcpOptions options)
    {
        options.ConfigurationPath = section.Path;
        var faults = options.BindingFaults;
        foreach (var child in SettingReader.ChildrenOf(section, Known, faults))
        {
            if (!Known.Contains(child.Key, StringComparer.OrdinalIgnoreCase))
            {
                faults.Add(SettingReader.Unknown(child, Known));
            }
        }

        var maxTotal = section.GetSection(MaxTotalConnections);
        if (maxTotal.Exists())
        {
            options.MaxTotalConnections = new SettingReader(maxTotal, faults, options.BoundKeys).WholeOrNull(options.MaxTotalConnections);
        }

        var maxClosing = section.GetSection(MaxClosing);
        if (maxClosing.Exists())
        {
            options.MaxClosing = new SettingReader(maxClosing, faults, options.BoundKeys).Whole(options.MaxClosing);
        }

        EndpointBinder.Bind(section.GetSection(Telemetry), options.Telemetry, faults, options.BoundKeys);
        EndpointBinder.Bind(section.GetSection(Defaults), options.Defaults, faults, options.BoundKeys);
        foreach (var endpoint in SettingReader.ChildrenOf(section.GetSection(Endpoints), ["<name>"], faults))
        {
            EndpointBinder.Bind(endpoint, options.GetOrAdd(endpoint.Key), faults, options.BoundKeys);
        }
    }
}
