using System.Globalization;
using System.Text;
using System.Text.Json;

namespace PooledTcp.AspNetCore.Stats;

/// <summary>
/// Table and tiles. Every figure carries its path in the JSON (<c>data-f</c>) and how it is written (<c>data-t</c>), so that the
/// script finds it again and a row made by the script is the row made here.
/// </summary>
internal static class PoolTable
{
    private static readonly (string Group, Column[] Columns)[] Groups =
    [
        ("Connections",
        [
            new("Idle", "Idle", Figure("connection.idle")),
            new("Used", "Used", Figure("connection.used")),
            new("Connecting", "Connecting", Figure("connection.connecting")),
            new("Closing", "Closing", Figure("connection.closing")),
            new("All", "All", Figure("connection.count") + Of("connection.max") + Bar("connections", "used", "connecting", "closing", "idle")),
        ]),
        ("Rents",
        [
            new("Per second", "Rents/s", Figure("rates.rents", 'r') + Spark("rates.rents", 'r')),
            new("At once", "At once", Figure("rates.served_at_once", 'p')),
        ]),
        ("Waiting",
        [
            new("Now", "Waiting", Figure("pending_requests") + Of("pending_requests_max")),
            new("Average", "Wait, avg", Figure("rates.wait_time_average", 's') + Spark("rates.wait_time_average", 's')),
            new("Longest", "Wait, max", Figure("wait_time.longest", 's')),
            new("Timeouts", "Timeouts", Figure("timeouts")),
            new("Refused", "Refused", Figure("rents_refused") + $" <span class=\"of\">{Figure("rates.rents_refused", 'r')}/s</span>"),
        ]),
        ("Dials",
        [
            new("Per second", "Dials/s", Figure("rates.created", 'r') + Spark("rates.created", 'r')),
            new("Average", "Dial, avg", Figure("rates.create_time_average", 's')),
            new("Failed", "Dials failed", Figure("create_failures")),
        ]),
        ("Ports",
        [
            new("Taken", "Ports", Figure("port.used") + Of("port.budget") + Bar("ports", "level"), Figure("port_pressure_max", 'p') + " <span class=\"of\">at most</span>"),
            new("TIME-WAIT", "TIME-WAIT", Figure("port.time_wait") + Of("port.time_wait_max"), ""),
        ]),
        ("Breaker", [new("", "Breaker", Figure("breaker", 'c'), "")]),
    ];

    private static readonly string Details = $"""
        <table class="small"><caption>Closes by reason</caption><tbody data-list="closed.by_reason" data-kind="counts">@closed.by_reason@</tbody></table>
        <div><table class="small"><caption>Closes by method</caption><tbody data-list="closed.by_method" data-kind="counts">@closed.by_method@</tbody></table>
        <table class="small"><caption>Who closed first</caption><tbody data-list="closed.by_initiator" data-kind="counts">@closed.by_initiator@</tbody></table></div>
        <table class="small"><caption>Since the pool was made</caption><tbody>{Rows(
            ("Rents", Figure("rents")),
            ("Of them late", Figure("rents_waited")),
            ("Waits ended", Figure("wait_time.count")),
            ("Wait, average", Figure("wait_time.average", 's')),
            ("Opened", Figure("created")),
            ("Dial, average", Figure("create_time.average", 's')),
            ("Dial, longest", Figure("create_time.longest", 's')),
            ("Closed", Figure("closed.count")),
            ("Retried exchanges", Figure("retries")))}</tbody></table>
        <table class="small"><caption>Limits and state</caption><tbody>{Rows(
            ("State", Figure("state", 'c')),
            ("Generation", Figure("generation")),
            ("MinIdleConnections", Figure("connection.idle_min")),
            ("MaxConnecting", Figure("connection.connecting_max")),
            ("Learned idle limit", Figure("learned_idle_limit", 's')),
            ("Fullest address, ports", Figure("port.pressure", 'p')))}</tbody></table>
        <table class="small"><caption>Addresses</caption><thead><tr><th scope="col">Address</th><th scope="col">Open</th><th scope="col">Breaker</th><th scope="col">Failures</th></tr></thead><tbody data-list="addresses" data-kind="addresses">@addresses@</tbody></table>
        <p class="error" data-show="last_connect_error.type"@hidden@>Last dial error, {Figure("last_connect_error.age", 's')} ago: <strong>{Figure("last_connect_error.type", 't')}</strong></p>
        """;

    /// <summary>A row without figures, for the script to copy.</summary>
    public static string Template { get; } = Pool(default);

    public static string Render(JsonElement report)
    {
        var table = new StringBuilder();
        table.Append("""<table id="table" class="pools" role="table"><caption class="vh">Every pool, those in trouble first, below the total of all</caption><thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader" rowspan="2">Pool</th>""");
        foreach ((string group, Column[] columns) in Groups)
        {
            table.Append(columns.Length == 1
                ? $"""<th scope="col" role="columnheader" rowspan="2" class="first">{group}</th>"""
                : $"""<th scope="colgroup" role="columnheader" class="group first" colspan="{columns.Length}">{group}</th>""");
        }

        table.Append("""</tr><tr role="row">""");
        foreach ((_, Column[] columns) in Groups.Where(static group => group.Columns.Length > 1))
        {
            for (int i = 0; i < columns.Length; i++)
            {
                table.Append(CultureInfo.InvariantCulture, $"""<th scope="col" role="columnheader"{(i == 0 ? " class=\"first\"" : "")}>{columns[i].Name}</th>""");
            }
        }

        JsonElement totals = report.GetProperty("totals");
        table.Append("""</tr></thead><tbody id="totals" class="total" role="rowgroup"><tr class="figures" role="row"><th scope="row" role="rowheader">""");
        table.Append(Fill($"""<span class="name">All pools</span> <span class="address">{Figure("pools")} in all</span>""", totals)).Append("</th>");
        AppendCells(table, totals, isTotal: true);
        table.Append("</tr></tbody>");
        foreach (JsonElement pool in report.GetProperty("pools").EnumerateArray())
        {
            table.Append(Pool(pool));
        }

        return table.Append("</table>").ToString();
    }

    public static string Tiles(JsonElement totals)
    {
        int failing = totals.GetProperty("pools_failing").GetInt32(), strained = totals.GetProperty("pools_strained").GetInt32();
        string severity = failing > 0 ? Trouble.Failing : strained > 0 ? Trouble.Strained : Trouble.Ok;
        return Fill(
            $"""
            <div class="tile" id="trouble" data-severity="{severity}"><dt>Pools failing</dt><dd class="big">{Figure("pools_failing")}{Of("pools")}</dd><dd>{Figure("pools_strained")} strained</dd><dd>{Spark("pools_failing", 'n')}</dd></div>
            <div class="tile"><dt>Rents per second</dt><dd class="big">{Figure("rates.rents", 'r')}</dd><dd>{Figure("rates.served_at_once", 'p')} served at once</dd><dd>{Spark("rates.rents", 'r')}</dd></div>
            <div class="tile"><dt>Waiting now</dt><dd class="big">{Figure("pending_requests")}</dd><dd>average wait {Figure("rates.wait_time_average", 's')}</dd><dd>{Spark("rates.wait_time_average", 's')}</dd></div>
            <div class="tile"><dt>Dials per second</dt><dd class="big">{Figure("rates.created", 'r')}</dd><dd>{Figure("rates.create_time_average", 's')} each, {Figure("rates.create_failures", 'r')} failed</dd><dd>{Spark("rates.created", 'r')}</dd></div>
            <div class="tile"><dt>Connections</dt><dd class="big">{Figure("connection.count")}{Of("connection.max")}</dd><dd>{Figure("connection.used")} used, {Figure("connection.idle")} idle</dd><dd>{Bar("connections", "used", "connecting", "closing", "idle")}</dd></div>
            <div class="tile"><dt>Timeouts per second</dt><dd class="big">{Figure("rates.timeouts", 'r')}</dd><dd>{Figure("timeouts")} so far, {Figure("rates.rents_refused", 'r')} refused per second</dd><dd>{Spark("rates.timeouts", 'r')}</dd></div>
            """,
            totals);
    }

    private static string Pool(JsonElement pool)
    {
        bool known = pool.ValueKind == JsonValueKind.Object;
        bool adHoc = known && pool.GetProperty("ad_hoc").GetBoolean();
        var row = new StringBuilder();
        row.Append(known
            ? $"""<tbody role="rowgroup" data-key="{(adHoc ? "a " : "n ")}{StatsPage.Encode(pool.GetProperty("name").GetString()!)}" data-severity="{pool.GetProperty("severity").GetString()}">"""
            : """<tbody role="rowgroup">""");
        row.Append("""<tr class="figures" role="row"><th scope="row" role="rowheader">""");
        row.Append(Fill(
            $"""
            <span class="name">{Figure("name", 't')}</span>
            <span class="address" data-hide="ad_hoc"{(adHoc ? " hidden" : "")}>{Figure("address", 't')}</span>
            <span class="address" data-show="ad_hoc"{(adHoc ? "" : " hidden")}>ad hoc</span>
            """,
            pool)).Append("</th>");
        AppendCells(row, pool, isTotal: false);
        bool quiet = known && pool.GetProperty("trouble").GetArrayLength() == 0;
        bool failed = known && pool.GetProperty("last_connect_error").ValueKind == JsonValueKind.Object;
        string details = Details.Replace("@hidden@", failed ? "" : " hidden", StringComparison.Ordinal);
        row.Append(CultureInfo.InvariantCulture, $"""</tr><tr class="more" role="row"><td role="cell" colspan="{1 + Groups.Sum(static group => group.Columns.Length)}"><details><summary>""")
            .Append(Fill($"""<span class="severity">{Figure("severity", 'c')}</span> {Figure("explanation", 't')} <span class="trouble" data-show="trouble"{(quiet ? " hidden" : "")}>[{Figure("trouble", 'l')}]</span>""", pool))
            .Append("""</summary><div class="panel">""")
            .Append(Fill(details, pool))
            .Append("</div></details></td></tr></tbody>");
        return row.ToString();
    }

    private static void AppendCells(StringBuilder row, JsonElement data, bool isTotal)
    {
        foreach ((_, Column[] columns) in Groups)
        {
            for (int i = 0; i < columns.Length; i++)
            {
                row.Append(CultureInfo.InvariantCulture, $"""<td role="cell"{(i == 0 ? " class=\"first\"" : "")} data-label="{columns[i].Label}">""")
                    .Append(Fill(isTotal ? columns[i].OfTotal ?? columns[i].Content : columns[i].Content, data))
                    .Append("</td>");
            }
        }
    }

    private static string Figure(string path, char type = 'n') => $"""<span data-f="{path}" data-t="{type}">@{type}:{path}@</span>""";

    private static string Of(string path) => $""" <span class="of">of {Figure(path)}</span>""";

    private static string Bar(string kind, params ReadOnlySpan<string> parts)
    {
        var bar = new StringBuilder($"""<svg class="meter" data-bar="{kind}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">""");
        foreach (string part in parts)
        {
            bar.Append(CultureInfo.InvariantCulture, $"""<rect class="{part}" height="6" x="@x:{part}@" width="@w:{part}@"/>""");
        }

        return bar.Append("</svg>").ToString();
    }

    private static string Spark(string path, char type) =>
        $"""<svg class="spark" data-spark="{path}" data-t="{type}" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true" focusable="false"><polyline points=""/></svg><span class="vh"></span>""";

    private static string Rows(params ReadOnlySpan<(string Label, string Figure)> rows)
    {
        var text = new StringBuilder();
        foreach ((string label, string figure) in rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"""<tr><th scope="row">{label}</th><td>{figure}</td></tr>""");
        }

        return text.ToString();
    }

    private static string Fill(string markup, JsonElement data)
    {
        // Markup is ours and holds no other @; what is filled in is never looked at again.
        string[] parts = markup.Split('@');
        for (int i = 1; i < parts.Length; i += 2)
        {
            parts[i] = PoolValues.Of(parts[i], data);
        }

        return string.Concat(parts);
    }

    /// <param name="Name">Under its group.</param>
    /// <param name="Label">On a narrow screen, which has no head of the table.</param>
    /// <param name="Content">The cell.</param>
    /// <param name="OfTotal">The cell in the row of all pools, where it is another one.</param>
    private sealed record Column(string Name, string Label, string Content, string? OfTotal = null);
}
