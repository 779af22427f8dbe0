using System.Text.Json;
using System.Text.RegularExpressions;
using PooledTcp.CacheServiceTests.Support;
using Xunit;

namespace PooledTcp.CacheServiceTests.Telemetry;

/// <summary>
/// The alerts of docs/observability.md, through promtool's own unit tests: what each one fires for, and what none may fire for.
/// A scrape every 15 s; the trouble comes at the 39th, after ten minutes.
/// </summary>
public sealed partial class AlertTests
{
    private const string NoPort = "A dial found no port";
    private const string Refused = "Timeouts and refusals";
    private const string Away = "Server away";
    private const string Reuse = "Reuse";
    private const string OurCloses = "Closes by us";
    private const string DialsFail = "Dials fail";

    private const string Rents = "connection_wait_time_seconds_count";
    private const string Dials = "connection_create_time_seconds_count";
    private const string Closed = "connection_closed_total";
    private const string Local = "pooled_tcp_connection_close_initiator=local";
    private const string Reused = "pooled_tcp_connection_reused=true";
    private const string Dialed = "pooled_tcp_connection_reused=false";
    private const string LongAgo = "0x8 1x7 2x7 3x7 4x7 5x7 6x7 7x7 8x7 9x7 10x7 11x7 12x7 13x7 14x7 15x7 16x7 17x7 18x7 19x7 20x7";

    private static readonly (string Name, string Values, string Label)[] Good =
    [
        ("connection_max", "8x200", ""), ("connection_count", "4x200", "pooled_tcp_connection_state=used"), ("port_pressure", "0.3x200", ""),
        (Rents, "0+1500x200", Reused), (Rents, "8x200", Dialed), (Dials, "8x200", ""), ("connection_use_time_seconds_count", "0+1500x200", ""),
        (Closed, "0+1x200", Local),
    ];

    private static readonly Scenario[] Scenarios =
    [
        new("a pool in good order", "12m", [], Good),
        new("ports without a free one, in one scrape", "12m", [NoPort], [.. Good, ("port_exhausted_total", "_x39 3x160", "")]),
        new("five minutes after that", "16m", [], [.. Good, ("port_exhausted_total", "_x39 3x160", "")]),
        new("a gap in the scrapes, and old errors", "21m", [], [.. Old("stale _x39")]),
        new("Prometheus was away itself", "21m", [], [.. Old("_x40")]),
        new("a restart between two scrapes", "12m", [], [.. Good, ("port_exhausted_total", "3x39 stale _x160", ""), (Rents, "7x39 stale _x160", "error_type=queue_full")]),
        new("a restart, and the error again", "13m", [NoPort], [.. Good, ("port_exhausted_total", "3x39 stale _x5 1x150", "")]),
        new("a queue that is full once", "13m", [Refused], [.. Good, (Rents, "_x39 50x160", "error_type=queue_full")]),
        new("one timeout in ten thousand rents", "13m", [], [.. Good, (Rents, "_x39 1x160", "error_type=acquire_timeout")]),
        new("rents that failed once", "13m", [Away], [.. Good, (Rents, "_x39 5x160", "error_type=endpoint_unavailable")]),
        new("one rent in two minutes, and a dial and a close for each", "20m", [],
            [("connection_max", "8x200", ""), (Rents, LongAgo, Dialed), (Dials, LongAgo, ""), (Closed, LongAgo, Local)]),
        new("ten rents a second, and a dial and a close for each", "12m", [Reuse, OurCloses],
            [("connection_max", "8x200", ""), (Rents, "0+150x200", Dialed), (Dials, "0+150x200", ""), (Closed, "0+150x200", Local)]),
        new("a dial every four minutes, which fails", "14m", [DialsFail],
            [("connection_max", "8x200", ""), (Dials, "_x8 1x15 2x15 3x15 4x100", "error_type=connection_refused")]),
        new("a dial that failed, and one that did not", "13m", [], [.. Good, (Dials, "_x39 1x160", "error_type=timed_out"), (Dials, "8x39 9x160", "server_port=2")]),
        new("ports towards one address run short", "12m", ["Port pressure"], [.. Good, ("port_pressure", "0.85x200", "server_port=2")]),
        new("TIME-WAITs of ours", "12m", ["TIME-WAITs of our own"],
            [.. Good, ("port_time_wait", "210x200", "network_local_address=::"), ("port_budget", "1000x200", "network_local_address=::")]),
        new("all on loan", "12m", ["Saturation"],
            [("connection_max", "8x200", ""), ("connection_count", "8x200", "pooled_tcp_connection_state=used")]),
        new("exchanges that fail", "12m", ["Exchanges that do not end cleanly"], [.. Good, (Closed, "0+30x200", "pooled_tcp_connection_close_reason=faulted")]),
        new("one in ten waits", "12m", ["Waiting"], [.. Good, .. Buckets("0.05", 900), .. Buckets("0.1", 1000), .. Buckets("+Inf", 1000)]),
    ];

    [Fact]
    public async Task Each_alert_fires_for_its_trouble_and_for_nothing_else()
    {
        Assert.SkipUnless(PrometheusServer.IsInstalled, "prometheus is not installed.");
        string section = Repository.Observability.Split("## What to alert on")[1].Split("\n## ")[0];
        (string Name, string Query)[] alerts = [.. Alert().Matches(section).Select(static match => (match.Groups[1].Value, match.Groups[2].Value.Trim()))];
        Assert.Equal(section.Split("```promql").Length - 1, alerts.Length);
        Assert.Equal(
            alerts.Select(static alert => alert.Name).Order(StringComparer.Ordinal),
            Scenarios.SelectMany(static scenario => scenario.Fires).Distinct().Order(StringComparer.Ordinal));

        // JSON is YAML, too.
        string directory = Directory.CreateDirectory(Path.Combine(Repository.Root, "artifacts/alerts")).FullName;
        await WriteAsync("rules.yml", new
        {
            groups = new[] { new { name = "pooledtcp", rules = alerts.Select(static alert => new { alert = alert.Name, expr = alert.Query, @for = Pause(alert.Name) }) } },
        });
        await WriteAsync("tests.yml", new
        {
            rule_files = (string[])["rules.yml"],
            evaluation_interval = "15s",
            tests = Scenarios.Select(scenario => new
            {
                name = scenario.Name,
                interval = "15s",
                input_series = scenario.Series.Select(static series => new { series = Selector(series.Name, series.Label), values = series.Values }),
                alert_rule_test = alerts.Select(alert => new
                {
                    eval_time = scenario.At,
                    alertname = alert.Name,
                    exp_alerts = scenario.Fires.Contains(alert.Name) ? [new { exp_labels = Labels(alert.Query) }] : Array.Empty<object>(),
                }),
            }),
        });
        using Child promtool = Child.StartProgram("promtool", "test", "rules", Path.Combine(directory, "tests.yml"));
        int code = await promtool.WaitForExitAsync();
        Assert.True(code == 0, promtool.Output + promtool.Error);

        Task WriteAsync(string name, object content) =>
            File.WriteAllTextAsync(Path.Combine(directory, name), JsonSerializer.Serialize(content), TestContext.Current.CancellationToken);
    }

    // As the document says: two minutes, but for those about ports.
    private static string Pause(string alert) => alert is NoPort or "Port pressure" or "TIME-WAITs of our own" ? "0s" : "2m";

    private static Dictionary<string, string> Labels(string query)
    {
        Dictionary<string, string> labels = new(StringComparer.Ordinal) { ["job"] = "j", ["pooled_tcp_pool_name"] = "p" };
        if (!query.Contains("by (job, pooled_tcp_pool_name", StringComparison.Ordinal))
        {
            labels["instance"] = "i";
        }

        if (query.Contains("network_local_address", StringComparison.Ordinal))
        {
            labels["network_local_address"] = "::";
        }

        return labels;
    }

    private static string Selector(string name, string label)
    {
        List<string> labels = ["job=\"j\"", "instance=\"i\"", "pooled_tcp_pool_name=\"p\"", "server_address=\"a\""];
        if (label.Split('=', 2) is [var key, var value])
        {
            labels.Add($"{key}=\"{value}\"");
        }

        return $"pooled_tcp_{name}{{{string.Join(',', labels)}}}";
    }

    private static IEnumerable<(string Name, string Values, string Label)> Old(string gap) =>
        new (string Name, string Count, string Label)[]
        {
            ("connection_max", "8", ""), ("port_exhausted_total", "3", ""), (Rents, "1000", Reused), (Rents, "7", "error_type=queue_full"),
            (Rents, "7", "error_type=endpoint_unavailable"), (Dials, "7", "error_type=timed_out"),
        }.Select(series => (series.Name, $"{series.Count}x39 {gap} {series.Count}x120", series.Label));

    private static IEnumerable<(string Name, string Values, string Label)> Buckets(string bound, int perScrape) =>
        [("connection_wait_time_seconds_bucket", $"0+{perScrape}x200", $"le={bound}")];

    [GeneratedRegex(@"^\*\*([^*]+?)[.,]\*\*.*?```promql\n(.*?)```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Alert();

    private sealed record Scenario(string Name, string At, string[] Fires, (string Name, string Values, string Label)[] Series);
}
