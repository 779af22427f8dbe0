using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration;
using NJsonSchema;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

/// <summary>
/// ConfigurationSchema.json, which editors complete appsettings from, says what the options classes and the binder say: the same
/// names, defaults, ranges, and the same refusals.
/// </summary>
public sealed partial class ConfigurationSchemaTests
{
    private static readonly string Root = Repository();
    private static readonly string SchemaText = File.ReadAllText(Path.Combine(Root, "src", "PooledTcp", "ConfigurationSchema.json"));
    private static readonly JsonNode Section = JsonNode.Parse(SchemaText)!["properties"]!["PooledTcp"]!;
    private static readonly JsonNode Endpoint = JsonNode.Parse(SchemaText)!["definitions"]!["PooledTcpEndpoint"]!;
    private static readonly Lazy<Task<JsonSchema>> Schema = new(static () => JsonSchema.FromJsonAsync(SchemaText));

    public static TheoryData<string> Numbers => [.. Leaves().Where(static leaf => leaf.Value["minimum"] is not null).Select(static leaf => leaf.Key)];

    public static TheoryData<string, string> Documents
    {
        get
        {
            TheoryData<string, string> documents = [];
            foreach (string page in Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md").Append(Path.Combine(Root, "README.md")))
            {
                int number = 0;
                foreach (Match block in FencedJson().Matches(File.ReadAllText(page)))
                {
                    documents.Add($"{Path.GetFileName(page)} {++number}", block.Groups[1].Value);
                }
            }

            foreach (string file in Directory.EnumerateFiles(Path.Combine(Root, "examples"), "appsettings*.json", SearchOption.AllDirectories)
                .Where(static file => !file.Split(Path.DirectorySeparatorChar).Any(static folder => folder is "bin" or "obj")))
            {
                documents.Add(Path.GetRelativePath(Root, file), File.ReadAllText(file));
            }

            return documents;
        }
    }

    [Fact]
    public void It_has_every_setting_that_configuration_knows_and_no_other()
    {
        Assert.Equal(
            EndpointBinder.Paths
                .Concat(EndpointBinder.TelemetryKeys.Select(static key => $"Telemetry:{key}"))
                .Concat([nameof(PooledTcpOptions.MaxTotalConnections), nameof(PooledTcpOptions.MaxClosing)])
                .Order(StringComparer.Ordinal),
            Leaves().Keys.Order(StringComparer.Ordinal));
        Assert.Equal(
            ["Defaults", "Endpoints", "MaxClosing", "MaxTotalConnections", "Server", "Telemetry"],
            Properties(Section).Select(static property => property.Key).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void And_so_every_property_of_the_options_that_appsettings_can_hold()
    {
        Assert.Equal(
            Settable(typeof(TcpEndpointOptions)).Concat(Settable(typeof(TcpTelemetryOptions), "Telemetry:")).Order(StringComparer.Ordinal),
            Leaves().Keys.Except(["MaxTotalConnections", "MaxClosing"]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void It_has_their_defaults()
    {
        PooledTcpOptions options = new();
        options.AddEndpoint("x", static _ => { });
        Assert.All(Leaves(), leaf =>
        {
            object start = IsTop(leaf.Key) ? options : options.Endpoints["x"];
            object? value = leaf.Key.Split(':').Aggregate((object?)start, static (o, name) => o!.GetType().GetProperty(name)!.GetValue(o));
            JsonNode? expected = value switch
            {
                null => null,
                TimeSpan time => JsonValue.Create(SettingFaults.Show(time)),
                Enum name => JsonValue.Create(name.ToString()),
                ICollection { Count: 0 } => new JsonArray(),
                _ => JsonSerializer.SerializeToNode(value),
            };
            Assert.True(
                JsonNode.DeepEquals(expected, leaf.Value["default"]), $"{leaf.Key}: {leaf.Value["default"]?.ToJsonString()}, expected {expected?.ToJsonString()}");
        });
    }

    [Fact]
    public void Each_is_described_with_the_range_of_the_table()
    {
        Dictionary<string, string> ranges = File.ReadLines(Path.Combine(Root, "docs", "configuration.md"))
            .Where(static line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(static line => line.Split('|', StringSplitOptions.TrimEntries))
            .Where(static cells => cells.Length == 7)
            .ToDictionary(static cells => cells[1].Trim('`'), static cells => Link().Replace(cells[3], "$1").Replace("`", "", StringComparison.Ordinal));
        Assert.All(Leaves(), leaf =>
        {
            string description = (string)leaf.Value["description"]!;
            Assert.EndsWith(".", description, StringComparison.Ordinal);
            if (ranges[leaf.Key] is { Length: > 0 } range && range != "below")
            {
                Assert.EndsWith($" Range: {range}.", description, StringComparison.Ordinal);
            }
        });
    }

    [Theory]
    [MemberData(nameof(Numbers))]
    public void Numbers_have_the_bounds_that_validation_has(string path)
    {
        JsonNode node = Leaves()[path];
        decimal minimum = node["minimum"]!.GetValue<decimal>();
        decimal step = node["type"]!.ToString() == "number" ? 0.001m : 1;
        Assert.Null(Fault(path, minimum));
        Assert.NotNull(Fault(path, minimum - step));
        if (node["maximum"]?.GetValue<decimal>() is { } maximum)
        {
            Assert.Null(Fault(path, maximum));
            Assert.NotNull(Fault(path, maximum + step));
        }
        else
        {
            Assert.Null(Fault(path, int.MaxValue));
        }
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public async Task What_the_pages_and_examples_show_is_valid(string where, string json)
    {
        // A part of an endpoint is shown without what is around it.
        string whole = json.TrimStart().StartsWith('{') ? json : $$"""{ "PooledTcp": { "Endpoints": { "x": { {{json}} } } } }""";
        JsonObject document = JsonNode.Parse(whole)!.AsObject();
        Assert.True(document.ContainsKey("PooledTcp"), where);
        Assert.Empty((await Schema.Value).Validate(whole).Select(fault => $"{where}: {fault}"));
    }

    [Fact]
    public void Documents_are_found() => Assert.Contains(Documents, static row => row.Data.Item1 == "README.md 1");

    [Theory]
    [InlineData("""{ "PooledTcp": { "Endpoint": {} } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "MaxConections": 5 } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "Tls": { "Enable": true } } } } }""")]
    [InlineData("""{ "PooledTcp": { "Defaults": { "Health": { "Probes": "redis" } } } }""")]
    [InlineData("""{ "PooledTcp": { "Defaults": { "Address": "cache:6379" } } }""")]
    [InlineData("""{ "PooledTcp": { "Telemetry": { "LeaseSpan": true } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "MaxConnections": "many" } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "MaxConnections": 0 } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "MaxConnections": 1.5 } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "RentTimeout": 5 } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "RentTimeout": "90" } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "RentTimeout": "24:00:00" } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "ConnectTimeout": "Infinite" } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "NoDelay": "yes" } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "Address": "cache" } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "Shutdown": { "ClosesFirst": "Nobody" } } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "Shutdown": { "Goodbye": "QUIT" } } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": { "Tls": { "ApplicationProtocols": "h2" } } } } }""")]
    [InlineData("""{ "PooledTcp": { "Endpoints": { "x": 5 } } }""")]
    public async Task What_would_fail_the_start_is_marked(string json)
    {
        Assert.NotEmpty((await Schema.Value).Validate(json));

        // The schema is no stricter than the start.
        Assert.NotEmpty(FaultsOf(json));
    }

    [Theory]
    [InlineData("\"RentTimeout\": \"Infinite\"")]
    [InlineData("\"RentTimeout\": \"-00:00:00.001\"")]
    [InlineData("\"Lifetime\": \"1.12:00:00\"")]
    [InlineData("\"ConnectTimeout\": \"00:00:00.5\"")]
    [InlineData("\"IdleTimeout\": \"00:05\"")]
    [InlineData("\"UserTimeout\": \"0\"")]
    [InlineData("\"UserTimeout\": \"00:00:00\"")]
    [InlineData("\"MaxUses\": null")]
    [InlineData("\"Health\": { \"VerifyAfter\": null, \"Probe\": \"raw:PING\", \"ProbeReply\": \"raw:PONG\" }")]
    [InlineData("\"Shutdown\": { \"Goodbye\": null, \"ClosesFirst\": \"Client\" }")]
    [InlineData("\"Tls\": { \"Protocols\": \"Tls12, Tls13\", \"ApplicationProtocols\": [], \"TargetHost\": null }")]
    public async Task What_starts_is_not_marked(string setting)
    {
        string json = $$"""{ "PooledTcp": { "Endpoints": { "x": { "Address": "10.0.0.1:7", {{setting}} } } } }""";
        Assert.Empty((await Schema.Value).Validate(json));
        Assert.Empty(FaultsOf(json));
    }

    [Theory]
    [InlineData("cache.internal:6379")]
    [InlineData("10.0.0.7:6379")]
    [InlineData("[2001:db8::7]:6379")]
    [InlineData("unix:/run/cache.sock")]
    [InlineData("unix:@cache")]
    public async Task Addresses_of_every_form_are_valid(string address) =>
        Assert.Empty((await Schema.Value).Validate($$"""{ "PooledTcp": { "Endpoints": { "x": { "Address": "{{address}}" } } } }"""));

    /// <summary>Every setting by its path, telemetry and limits of the client included; the server's are its own half's.</summary>
    private static Dictionary<string, JsonNode> Leaves()
    {
        Dictionary<string, JsonNode> leaves = new(StringComparer.Ordinal);
        void Add(string path, JsonNode node)
        {
            if (node["properties"] is null)
            {
                leaves.Add(path, node);
                return;
            }

            Assert.False((bool)node["additionalProperties"]!);
            foreach (KeyValuePair<string, JsonNode?> property in Properties(node))
            {
                Add($"{path}:{property.Key}".TrimStart(':'), property.Value!);
            }
        }

        Add("", Endpoint);
        foreach (KeyValuePair<string, JsonNode?> property in Properties(Section).Where(static p => p.Key is not ("Defaults" or "Endpoints" or "Server")))
        {
            Add(property.Key, property.Value!);
        }

        return leaves;
    }

    private static JsonObject Properties(JsonNode node) => node["properties"]!.AsObject();

    private static bool IsTop(string path) => path is "MaxTotalConnections" or "MaxClosing" || path.StartsWith("Telemetry:", StringComparison.Ordinal);

    /// <summary>But for what has no text form: callbacks, certificates, hooks.</summary>
    private static IEnumerable<string> Settable(Type options, string prefix = "") => options
        .GetProperties(BindingFlags.Public | BindingFlags.Instance)
        .Where(static property => !property.PropertyType.IsAssignableTo(typeof(Delegate))
            && !property.PropertyType.IsAssignableTo(typeof(X509CertificateCollection))
            && !(property.PropertyType.IsInterface && property.PropertyType.Namespace == nameof(PooledTcp)))
        .SelectMany(property => property.PropertyType.Namespace == nameof(PooledTcp) && property.PropertyType.IsClass
            ? Settable(property.PropertyType, $"{prefix}{property.Name}:")
            : [prefix + property.Name]);

    /// <summary>What validation says of this one setting at this value.</summary>
    private static string? Fault(string path, decimal value)
    {
        string full = IsTop(path) ? path : $"Endpoints:x:{path}";
        return Bound.Faults(
            [
                "Endpoints:x:Address=10.0.0.1:7",

                // Where one setting has to fit another.
                .. path == "MaxConnections" ? Array.Empty<string>() : ["Endpoints:x:MaxConnections=1000000"],
                "Endpoints:x:UserTimeout=00:00:00",
                $"{full}={value.ToString(CultureInfo.InvariantCulture)}",
            ]).FirstOrDefault(fault => fault.StartsWith($"PooledTcp:{full}:", StringComparison.Ordinal));
    }

    private static IReadOnlyCollection<string> FaultsOf(string json)
    {
        PooledTcpOptions options = new();
        using MemoryStream stream = new(Encoding.UTF8.GetBytes(json));
        new PooledTcpSection(new ConfigurationBuilder().AddJsonStream(stream).Build().GetSection("PooledTcp")).Configure(options);
        return SettingsFactory.TryCreate(options, static () => Bound.Host, out _, out IReadOnlyCollection<string>? faults) ? [] : faults;
    }

    private static string Repository()
    {
        string? folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "PooledTcp.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("Not inside the repository.");
        }

        return folder;
    }

    [GeneratedRegex(@"^```json\r?\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex FencedJson();

    [GeneratedRegex(@"\[([^\]]*)\]\([^)]*\)")]
    private static partial Regex Link();
}
