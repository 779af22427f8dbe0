using Microsoft.Extensions.Configuration;
using PooledTcp.Configuration;
using PooledTcp.Ports;

namespace PooledTcp.Tests.Configuration;

/// <summary>Options bound from lines like <c>Endpoints:cache:MaxConnections=8</c>, below the section PooledTcp.</summary>
internal static class Bound
{
    /// <summary>Linux' defaults, so that no verdict depends on the host that runs the tests.</summary>
    public static readonly KernelPortSettings Host = new() { Origin = "test", Range = new PortRange(32768, 60999) };

    public static PooledTcpOptions Options(params string[] lines)
    {
        var options = new PooledTcpOptions();
        new PooledTcpSection(Section(lines)).Configure(options);
        return options;
    }

    public static ClientSettings Settings(params string[] lines) =>
        SettingsFactory.TryCreate(Options(lines), static () => Host, out var settings, out var faults)
            ? settings
            : throw new InvalidSettingsException(faults);

    public static IReadOnlyCollection<string> Faults(params string[] lines) =>
        SettingsFactory.TryCreate(Options(lines), static () => Host, out _, out var faults) ? [] : faults;

    public static IConfigurationSection Section(params string[] lines) =>
        new ConfigurationBuilder().AddInMemoryCollection(Pairs(lines)).Build().GetSection("PooledTcp");

    public static Dictionary<string, string?> Pairs(params string[] lines) =>
        lines.Select(static line => line.Split('=', 2))
            .ToDictionary(static pair => "PooledTcp:" + pair[0], static string? (pair) => pair[1]);
}
