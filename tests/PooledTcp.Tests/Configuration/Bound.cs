using Microsoft.Extensions.Configuration;
using PooledTcp.Configuration;

namespace PooledTcp.Tests.Configuration;

/// <summary>Options bound from lines like <c>Endpoints:cache:MaxConnections=8</c>, below the section PooledTcp.</summary>
internal static class Bound
{
    public static PooledTcpOptions Options(params string[] lines)
    {
        var options = new PooledTcpOptions();
        new PooledTcpSection(Section(lines)).Configure(options);
        return options;
    }

    public static ClientSettings Settings(params string[] lines) => SettingsFactory.Create(Options(lines));

    public static IReadOnlyCollection<string> Faults(params string[] lines) =>
        SettingsFactory.TryCreate(Options(lines), out _, out var faults) ? [] : faults;

    public static IConfigurationSection Section(params string[] lines) =>
        new ConfigurationBuilder().AddInMemoryCollection(Pairs(lines)).Build().GetSection("PooledTcp");

    public static Dictionary<string, string?> Pairs(params string[] lines) =>
        lines.Select(static line => line.Split('=', 2))
            .ToDictionary(static pair => "PooledTcp:" + pair[0], static string? (pair) => pair[1]);
}
