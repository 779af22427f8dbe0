using System.Text.Json;
using System.Text.Json.Nodes;
using PooledTcp.AspNetCore;
using PooledTcp.AspNetCore.Configuration;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>The schema of appsettings is one for the section, and comes with the core package; its part <c>Server</c> is this half's.</summary>
public sealed class ConfigurationSchemaTests
{
    private static readonly JsonNode Server = JsonNode.Parse(File.ReadAllText(Find("src/PooledTcp/ConfigurationSchema.json")))!
        ["properties"]!["PooledTcp"]!["properties"]!["Server"]!;

    [Fact]
    public void It_has_every_setting_with_its_default_and_no_other()
    {
        var settings = Server["properties"]!.AsObject();
        var defaults = new ClosePolicyOptions();

        Assert.False((bool)Server["additionalProperties"]!);
        Assert.Equal(ClosePolicySection.Known.Order(StringComparer.Ordinal), settings.Select(setting => setting.Key).Order(StringComparer.Ordinal));
        Assert.All(settings, setting =>
        {
            var expected = typeof(ClosePolicyOptions).GetProperty(setting.Key)!.GetValue(defaults) switch
            {
                TimeSpan time => JsonValue.Create(SettingFaults.Show(time)),
                Enum name => JsonValue.Create(name.ToString()),
                var value => JsonSerializer.SerializeToNode(value),
            };
            Assert.Equal(expected?.ToJsonString(), setting.Value!["default"]?.ToJsonString());
            Assert.False(string.IsNullOrWhiteSpace((string?)setting.Value["description"]));
        });
    }

    private static string Find(string path)
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "PooledTcp.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("Not inside the repository.");
        }

        return Path.Combine(folder, path);
    }
}
