using System.Collections;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Configuration;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

/// <summary>What docs/configuration.md and README.md say is what the classes do.</summary>
public class DocumentationTests
{
    private static readonly string[] Page = File.ReadAllLines(Path.Combine(Repository(), "docs", "configuration.md"));
    private static readonly string[] Readme = File.ReadAllLines(Path.Combine(Repository(), "README.md"));

    [Fact]
    public void The_table_has_every_setting_with_its_default() =>
        Assert.Equal(Defaults(), Table(Page, column: 4));

    [Fact]
    public void The_short_table_of_the_README_has_them_too() =>
        Assert.Equal(
            Defaults(),
            Table(Readme.SkipWhile(static line => line != "<!-- settings -->").TakeWhile(static line => line != "<!-- /settings -->"), column: 2));

    [Fact]
    public void The_farewells_are_those_of_the_catalogue()
    {
        var rows = Page.SkipWhile(static line => line != "## Farewells")
            .Where(static line => line.StartsWith("| **", StringComparison.Ordinal))
            .Select(static line => line.Split('|', StringSplitOptions.TrimEntries))
            .ToDictionary(static cells => cells[1].Trim('*'), static cells => cells[2].Trim('`'));

        Assert.Equal(GoodbyeCatalogue.Names, rows.Keys);
        Assert.All(rows, static row =>
        {
            Assert.True(GoodbyeCatalogue.TryGet(row.Key, out var expected));
            Assert.True(GoodbyeParser.TryParse("raw:" + row.Value, out var written, out var error), error);
            Assert.Equal(expected, written);
        });
    }

    [Fact]
    public void The_example_is_valid()
    {
        var options = Bind(Fenced("json"));

        Assert.Empty(options.BindingFaults);
        var settings = SettingsFactory.Create(options);
        Assert.Equal(["cache", "gateway", "metrics"], settings.Endpoints.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(TimeSpan.FromSeconds(2), settings.GetEndpoint("gateway").RentTimeout);
        Assert.All(settings.Endpoints.Values, static s => Assert.True(s.ConnectTimeout < s.RentTimeout));
    }

    [Fact]
    public void The_message_is_the_real_one()
    {
        var options = Bound.Options(
            "Endpoints:cache:Address=cache:6379",
            "Endpoints:cache:MaxConections=5",
            "Endpoints:cache:RentTimeout=90",
            "Endpoints:gateway:MaxUses=1000");

        Assert.False(SettingsFactory.TryCreate(options, out _, out var faults));
        Assert.Equal(Fenced("text"), new InvalidSettingsException(faults).Message);
    }

    private static Dictionary<string, string> Defaults() =>
        new(EndpointBinder.Paths.Select(static path => KeyValuePair.Create(path, Default(path, new TcpEndpointOptions())))
            .Concat(EndpointBinder.TelemetryKeys.Select(static key => KeyValuePair.Create($"Telemetry:{key}", Default($"Telemetry:{key}", new PooledTcpOptions())))))
        {
            [nameof(PooledTcpOptions.MaxTotalConnections)] = Default(nameof(PooledTcpOptions.MaxTotalConnections), new PooledTcpOptions()),
            [nameof(PooledTcpOptions.MaxClosing)] = Default(nameof(PooledTcpOptions.MaxClosing), new PooledTcpOptions()),
        };

    private static Dictionary<string, string> Table(IEnumerable<string> lines, int column) => lines
        .Where(static line => line.StartsWith("| `", StringComparison.Ordinal))
        .Select(static line => line.Split('|', StringSplitOptions.TrimEntries))
        .ToDictionary(static cells => cells[1].Trim('`'), cells => cells[column]);

    private static string Default(string path, object options)
    {
        object? value = options;
        foreach (var name in path.Split(':'))
        {
            value = value!.GetType().GetProperty(name)!.GetValue(value);
        }

        return value switch
        {
            null => path == "Address" ? "required" : "none",
            bool flag => flag ? "true" : "false",
            TimeSpan time => SettingFaults.Show(time),
            ICollection { Count: 0 } => "empty",
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };
    }

    private static PooledTcpOptions Bind(string json)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(json));
        var options = new PooledTcpOptions();
        new PooledTcpSection(new ConfigurationBuilder().AddJsonStream(stream).Build().GetSection("PooledTcp")).Configure(options);
        return options;
    }

    private static string Fenced(string language) => string.Join(
        '\n', Page.SkipWhile(line => line != "```" + language).Skip(1).TakeWhile(static line => line != "```"));

    private static string Repository()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "PooledTcp.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("Not inside the repository.");
        }

        return folder;
    }
}
