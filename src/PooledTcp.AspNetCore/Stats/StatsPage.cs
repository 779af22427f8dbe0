using System.Collections.Frozen;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace PooledTcp.AspNetCore.Stats;

/// <summary>
/// The document around the figures: one embedded page with its style and script inline, which a Content-Security-Policy allows by
/// their hashes and nothing else. It is complete without its script, which only keeps the figures up to date.
/// </summary>
internal static class StatsPage
{
    private static readonly string Style = Resource("StatsPage.css");
    private static readonly string Script = Resource("StatsPage.js");
    private static readonly string[] Parts = Split(Resource("StatsPage.html"));

    public static string ContentSecurityPolicy { get; } =
        $"default-src 'none'; style-src '{Hash(Style)}'; script-src '{Hash(Script)}'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

    /// <param name="report">The JSON document: page and JSON cannot tell different things.</param>
    /// <param name="query">What was asked for.</param>
    /// <param name="json">Where the JSON is, relative to the page.</param>
    public static byte[] Render(JsonElement report, StatsQuery query, string json)
    {
        JsonElement totals = report.GetProperty("totals");
        int listed = report.GetProperty("pools").GetArrayLength();
        double? interval = report.GetProperty("interval").ValueKind == JsonValueKind.Null ? null : report.GetProperty("interval").GetDouble();
        string application = report.GetProperty("application").GetString() is { Length: > 0 } name ? $" · {Encode(name)}" : "";
        FrozenDictionary<string, Func<string>> values = new Dictionary<string, Func<string>>(StringComparer.Ordinal)
        {
            ["application"] = () => application,
            ["css"] = static () => Style,
            ["script"] = static () => Script,
            ["iso"] = () => Encode(report.GetProperty("time").GetString()!),
            ["time"] = () => report.GetProperty("time").GetDateTimeOffset().ToString("HH:mm:ss 'UTC'", CultureInfo.InvariantCulture),
            ["over"] = () => interval is { } seconds ? $", rates over {Format.Whole(seconds)} s" : ", rates come with the next ones",
            ["filter"] = () => Encode(query.Pool),
            ["tiles"] = () => PoolTable.Tiles(totals),
            ["note"] = () => Note(listed, totals.GetProperty("pools").GetInt32()),
            ["note-hidden"] = () => listed == totals.GetProperty("pools").GetInt32() ? " hidden" : "",
            ["table"] = () => PoolTable.Render(report),
            ["template"] = static () => PoolTable.Template,
            ["paging"] = () => Paging(query, listed, report.GetProperty("matching").GetInt32()),
            ["json"] = () => Encode(json),
        }.ToFrozenDictionary(StringComparer.Ordinal);

        var page = new StringBuilder();
        for (int i = 0; i < Parts.Length; i++)
        {
            page.Append(i % 2 == 0 ? Parts[i] : values[Parts[i]]());
        }

        return Encoding.UTF8.GetBytes(page.ToString());
    }

    /// <summary>Names and addresses come from outside.</summary>
    public static string Encode(string text) => HtmlEncoder.Default.Encode(text);

    private static string Note(int listed, int pools) =>
        $"Showing {Format.Whole(listed)} of {Format.Whole(pools)} pools, those in trouble first. The totals are of all of them; stats.json?limit={StatsQuery.MaxLimit} lists them all.";

    private static string Paging(StatsQuery query, int listed, int matching)
    {
        string rest = (query.Limit == StatsQuery.DefaultLimit ? "" : $"&limit={query.Limit}")
            + (query.Pool.Length == 0 ? "" : $"&pool={Uri.EscapeDataString(query.Pool)}");
        string earlier = query.Offset == 0 ? "" : $"""<a rel="prev" href="?offset={Math.Max(0, query.Offset - query.Limit)}{Encode(rest)}">Earlier pools</a>""";
        string later = query.Offset + listed >= matching ? "" : $"""<a rel="next" href="?offset={query.Offset + query.Limit}{Encode(rest)}">More pools</a>""";
        return earlier.Length + later.Length == 0 ? "" : $"""<nav aria-label="More pools">{earlier}{later}</nav>""";
    }

    private static string Resource(string name)
    {
        using Stream stream = typeof(StatsPage).Assembly.GetManifestResourceStream($"PooledTcp.AspNetCore.Stats.{name}")
            ?? throw new InvalidOperationException($"The assembly lacks its resource {name}.");
        using var reader = new StreamReader(stream, Encoding.UTF8);

        // A checkout with CRLF would be another text to the browser, which hashes it with LF.
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }

    /// <summary>Literal text at even places, names of values at odd ones.</summary>
    private static string[] Split(string page) => page.Split(["{{", "}}"], StringSplitOptions.None);

    private static string Hash(string text) => $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";
}
