using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace PooledTcp.CacheServiceTests.Telemetry;

/// <summary>What the repository says about metrics: the queries of its documents and of its dashboard.</summary>
internal static partial class Repository
{
    public static string Root { get; } = FindRoot();

    public static string Observability => File.ReadAllText(Path.Combine(Root, "docs/observability.md"));

    public static string ExampleReadme => File.ReadAllText(Path.Combine(Root, "examples/CacheService/README.md"));

    public static JsonNode Dashboard => JsonNode.Parse(File.ReadAllText(Path.Combine(Root, "docs/grafana/pooledtcp.json")))!;

    /// <summary>Every <c>promql</c> block of both documents.</summary>
    public static IEnumerable<string> DocumentedQueries() =>
        PromqlBlock().Matches(Observability).Concat(PromqlBlock().Matches(ExampleReadme)).Select(static match => match.Groups[1].Value.Trim());

    /// <summary>Every query of the dashboard's panels and variables, with the variables filled in as Grafana does.</summary>
    public static IEnumerable<string> DashboardQueries()
    {
        foreach (JsonObject panel in Panels())
        {
            foreach (JsonNode? target in panel["targets"]?.AsArray() ?? [])
            {
                yield return FillIn(target!["expr"]!.GetValue<string>());
            }
        }

        foreach (JsonNode? variable in Dashboard["templating"]!["list"]!.AsArray())
        {
            if (variable!["type"]!.GetValue<string>() == "query")
            {
                // label_values(selector, label): Grafana's own; the selector is a query.
                yield return FillIn(LabelValues().Match(variable["query"]!["query"]!.GetValue<string>()).Groups[1].Value);
            }
        }
    }

    /// <summary>Panels that are no rows, those in rows that are folded included.</summary>
    public static IEnumerable<JsonObject> Panels() =>
        Dashboard["panels"]!.AsArray().Select(static panel => panel!.AsObject())
            .SelectMany(static panel => panel["type"]!.GetValue<string>() == "row" ? panel["panels"]!.AsArray().Select(static inner => inner!.AsObject()) : [panel]);

    /// <summary>An alert's expression without its threshold: what it looks at, whether or not that is alarming.</summary>
    public static string WithoutThreshold(string query) => Threshold().Replace(query, "");

    private static string FillIn(string query) => query
        .Replace("$__rate_interval", "1m", StringComparison.Ordinal)
        .Replace("$__range", "1m", StringComparison.Ordinal)
        .Replace("$job", ".+", StringComparison.Ordinal)
        .Replace("$instance", ".+", StringComparison.Ordinal)
        .Replace("$pool", ".+", StringComparison.Ordinal);

    private static string FindRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "PooledTcp.sln")))
        {
            directory = Path.GetDirectoryName(directory);
        }

        return directory ?? throw new DirectoryNotFoundException($"No PooledTcp.sln above {AppContext.BaseDirectory}.");
    }

    [GeneratedRegex("```promql\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex PromqlBlock();

    [GeneratedRegex(@"^label_values\((.*),\s*\w+\)$")]
    private static partial Regex LabelValues();

    [GeneratedRegex(@"\s+(>|<|>=|<=|==)\s+[\d.]+\s*$")]
    private static partial Regex Threshold();
}
