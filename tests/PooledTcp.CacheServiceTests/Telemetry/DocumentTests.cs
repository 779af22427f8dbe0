using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using PooledTcp.CacheServiceTests.Support;
using Xunit;

namespace PooledTcp.CacheServiceTests.Telemetry;

/// <summary>docs/observability.md and the dashboard, without a Prometheus: what they name exists, and Grafana can show it.</summary>
public sealed partial class DocumentTests
{
    private const string DataSource = "${datasource}";

    [Fact]
    public async Task Every_metric_of_a_scrape_is_in_the_table_with_its_unit()
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync("--PooledTcp:Telemetry:SocketCount", "true");
        await service.Http.GetStringAsync("/ping", Patience.Token);
        string scrape = await service.Http.GetStringAsync("/metrics", Patience.Token);
        Dictionary<string, (string Unit, string Labels)> documented = Rows();

        string[] scraped = [.. Family().Matches(scrape).Select(static match => match.Groups[1].Value)];

        Assert.InRange(scraped.Length, 12, int.MaxValue);
        Assert.All(scraped, name => Assert.Contains(name, documented.Keys));
        Assert.All(documented, static row => Assert.Equal(row.Key.Contains("_seconds", StringComparison.Ordinal), row.Value.Unit == "s"));
    }

    [Fact]
    public void Every_metric_that_a_query_names_is_in_the_table()
    {
        string[] known = [.. Rows().Keys];
        string[] named = [.. Repository.DocumentedQueries().Concat(Repository.DashboardQueries())
            .SelectMany(static query => Metric().Matches(LabelBlock().Replace(query, "")).Select(static match => match.Value))
            .Select(static name => HistogramPart().Replace(name, "_seconds"))
            .Where(static name => !name.EndsWith("_pool_name", StringComparison.Ordinal))
            .Distinct(StringComparer.Ordinal)];

        Assert.InRange(named.Length, 10, int.MaxValue);
        Assert.All(named, name => Assert.Contains(name, known));
    }

    [Fact]
    public void The_dashboard_is_one_that_Grafana_imports()
    {
        JsonNode dashboard = Repository.Dashboard;
        JsonObject[] variables = [.. dashboard["templating"]!["list"]!.AsArray().Select(static variable => variable!.AsObject())];

        Assert.Equal("PooledTcp", dashboard["title"]!.GetValue<string>());
        Assert.Equal(42, dashboard["schemaVersion"]!.GetValue<int>());
        Assert.Null(dashboard["id"]);
        Assert.Equal(["datasource", "job", "instance", "pool"], variables.Select(static variable => variable["name"]!.GetValue<string>()));
        Assert.Equal("datasource", variables[0]["type"]!.GetValue<string>());
        int[] ids = [.. dashboard["panels"]!.AsArray().Select(static panel => panel!["id"]!.GetValue<int>())];
        Assert.Equal(ids.Length, ids.Distinct().Count());
    }

    [Fact]
    public void Every_panel_has_a_title_a_description_a_unit_legends_and_no_data_source_of_its_own()
    {
        JsonObject[] panels = [.. Repository.Panels()];
        Assert.InRange(panels.Length, 15, int.MaxValue);
        foreach (JsonObject panel in panels)
        {
            string title = panel["title"]!.GetValue<string>();
            Assert.False(string.IsNullOrWhiteSpace(title));
            Assert.EndsWith(".", panel["description"]!.GetValue<string>(), StringComparison.Ordinal);
            Assert.False(string.IsNullOrWhiteSpace(panel["fieldConfig"]!["defaults"]!["unit"]!.GetValue<string>()), title);
            Assert.Equal(DataSource, panel["datasource"]!["uid"]!.GetValue<string>());
            foreach (JsonNode? target in panel["targets"]!.AsArray())
            {
                Assert.Equal(DataSource, target!["datasource"]!["uid"]!.GetValue<string>());
                Assert.False(string.IsNullOrWhiteSpace(target["legendFormat"]!.GetValue<string>()), title);
                Assert.Contains("$instance", target["expr"]!.GetValue<string>(), StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void No_panel_lies_over_another()
    {
        var taken = new HashSet<(int X, int Y)>();
        foreach (JsonNode? panel in Repository.Dashboard["panels"]!.AsArray())
        {
            JsonNode grid = panel!["gridPos"]!;
            (int x, int y, int w, int h) = (grid["x"]!.GetValue<int>(), grid["y"]!.GetValue<int>(), grid["w"]!.GetValue<int>(), grid["h"]!.GetValue<int>());
            Assert.InRange(x + w, 1, 24);
            Assert.All(
                from column in Enumerable.Range(x, w) from line in Enumerable.Range(y, h) select (column, line),
                cell => Assert.True(taken.Add(cell), $"{panel["title"]} at {cell}"));
        }
    }

    /// <summary>The table of metrics, by the name in Prometheus.</summary>
    private static Dictionary<string, (string Unit, string Labels)> Rows()
    {
        string table = Repository.Observability.Split("<!-- metrics -->")[1].Split("<!-- /metrics -->")[0];
        return table.Split('\n').Where(static line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(static line => line.Split('|', StringSplitOptions.TrimEntries))
            .ToDictionary(static cells => cells[2].Trim('`'), static cells => (cells[3], cells[4]), StringComparer.Ordinal);
    }

    [GeneratedRegex(@"^# TYPE (pooled_tcp_\w+) ", RegexOptions.Multiline)]
    private static partial Regex Family();

    [GeneratedRegex(@"pooled_tcp_\w+")]
    private static partial Regex Metric();

    // Names of labels look like those of metrics.
    [GeneratedRegex(@"\{[^}]*\}|(by|ignoring|on)\s*\([^)]*\)")]
    private static partial Regex LabelBlock();

    [GeneratedRegex("_seconds_(bucket|sum|count)$")]
    private static partial Regex HistogramPart();
}
