// Fills the figures of a page, and draws its charts, from what the load test wrote:
//   dotnet run --file benchmarks/charts.cs -- RESULTS-FOLDER PAGE.md...
// Between two markers stands nothing that was written by hand. performance.md is written anew from benchmarks/performance.template.md.
// The markers, each closed by <!-- /figures -->:
//   <!-- figures: gate -->                                   every target, from gate.json
//   <!-- figures: gate | T1.bytes, T3.raw-8 -->              these, in this order, and how many of all were reached
//   <!-- figures: gates -->                                  the targets that came near their limits, in gate-1.json, gate-2.json... and gate.json
//   <!-- figures: table | FILE | MEASURE | UNIT -->          a row for each series, a column for each x
//   <!-- figures: list | FILE | MEASURE -->                  a row for each series and unit
//   <!-- figures: chart | NAME | FILE | MEASURE | UNIT -->   NAME.svg beside the page
//   <!-- figures: machine | FILE -->                         where and when it was measured
using System.Globalization;
using System.Security;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

if (args is not [var results, .. var pages] || pages.Length == 0)
{
    Console.Error.WriteLine("charts: expected RESULTS-FOLDER PAGE.md...");
    return 64;
}

var files = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
foreach (var page in pages)
{
    var text = File.ReadAllText(Path.GetFileName(page) == "performance.md" ? "benchmarks/performance.template.md" : page);
    var filled = Markers.Figures().Replace(text, match =>
    {
        var words = match.Groups["what"].Value.Split('|', StringSplitOptions.TrimEntries);
        return $"<!-- figures: {match.Groups["what"].Value.Trim()} -->\n{Fill(words, page)}<!-- /figures -->";
    });
    File.WriteAllText(page, filled);
    Console.WriteLine($"charts: {page}");
}

return 0;

string Fill(string[] words, string page) => words switch
{
    ["gate"] => GateTable(Gate("gate")),
    ["gates"] => GatesTable(Gates()),
    ["gate", var which] => PartOfGate(which.Split(',', StringSplitOptions.TrimEntries)),
    ["machine", var file] => $"Measured {Text(Load(file), "at")} on {Text(Load(file), "machine")}.\n",
    ["table", var file, var measure, var unit] => Table(OfUnit(file, measure, unit)),
    ["list", var file, var measure] => List(Figures(file, measure)),
    ["chart", var name, var file, var measure, var unit] => ChartOf(name, OfUnit(file, measure, unit), page),
    _ => throw new InvalidDataException($"charts: a marker that nobody knows: {string.Join(" | ", words)}"),
};

JsonElement Load(string name)
{
    if (!files.TryGetValue(name, out var json))
    {
        json = JsonDocument.Parse(File.ReadAllText(Path.Combine(results, name + ".json"))).RootElement;
        if (json.ValueKind == JsonValueKind.Object && Text(json, "effort") != "full")
        {
            throw new InvalidDataException($"charts: {name}.json is a short form of '{name}'");
        }

        files.Add(name, json);
    }

    return json;
}

List<Figure> OfUnit(string file, string measure, string unit) =>
    Figures(file, measure).Where(f => f.Unit == unit).ToList() is { Count: > 0 } found ? found : throw new InvalidDataException($"charts: {file}.json has no '{measure}' in '{unit}'");

List<Figure> Figures(string file, string measure)
{
    var found = Load(file).GetProperty("figures").EnumerateArray()
        .Where(f => Text(f, "measure") == measure)
        .Select(f => new Figure(Text(f, "series"), Number(f, "x"), Text(f, "axis"), Text(f, "unit"), Number(f, "median"), Number(f, "low"), Number(f, "high"), (int)Number(f, "rounds")))
        .ToList();
    return found.Count > 0 ? found : throw new InvalidDataException($"charts: {file}.json has no '{measure}'");
}

// All of the gate's, and nobody else's: --only leaves out whole numbers, --smoke and check measure less.
List<JsonElement> Gate(string name)
{
    var targets = Load(name).EnumerateArray().ToList();
    if (targets.Find(target => !target.TryGetProperty("effort", out var effort) || effort.GetString() != "short") is { ValueKind: not JsonValueKind.Undefined } other)
    {
        throw new InvalidDataException($"charts: {name}.json is not of the command 'gate': {Text(other, "id")}");
    }

    var missing = Enumerable.Range(1, 10).Select(number => $"T{number}").Where(number => !targets.Exists(target => Text(target, "id").StartsWith(number + ".", StringComparison.Ordinal)));
    return missing.ToList() is { Count: > 0 } numbers ? throw new InvalidDataException($"charts: {name}.json lacks {string.Join(", ", numbers)}") : targets;
}

// Those that ran one after the other; gate.json is the last of them.
List<List<JsonElement>> Gates() =>
    [.. Enumerable.Range(1, int.MaxValue).Select(number => $"gate-{number}").TakeWhile(name => File.Exists(Path.Combine(results, name + ".json"))).Append("gate").Select(Gate)];

string GateTable(IEnumerable<JsonElement> targets)
{
    var table = new StringBuilder("| target | measured | limit | spread | what |\n|---|---|---|---|---|\n");
    foreach (var target in targets)
    {
        table.Append(CultureInfo.InvariantCulture, $"| {Text(target, "id")} | {Measured(target)} | {Limit(target)} {Text(target, "unit")} |");
        var disturbed = Number(target, "disturbed") > 0 ? $"; others used the machine: {Show(Number(target, "repeated"))} rounds repeated, {Show(Number(target, "disturbed"))} kept" : "";
        table.Append(CultureInfo.InvariantCulture, $" {Show(Optional(target, "min"))} to {Show(Optional(target, "max"))}{disturbed} | {Text(target, "what")} |\n");
    }

    return table.ToString();
}

// What was counted and is at its limit by design (dials at a time) is the same in each, and left out.
string GatesTable(List<List<JsonElement>> gates)
{
    var table = new StringBuilder($"| target | limit | {string.Join(" | ", Enumerable.Range(1, gates.Count).Select(number => $"gate {number}"))} |\n|---|---|{string.Concat(gates.Select(_ => "---|"))}\n");
    foreach (var target in gates[^1])
    {
        var values = gates.ConvertAll(gate => gate.Single(other => Text(other, "id") == Text(target, "id")));
        var limit = Number(target, "limit");
        if (values.Exists(value => Number(value, "value") != limit && Math.Abs(Number(value, "value") - limit) <= limit / 10))
        {
            table.Append(CultureInfo.InvariantCulture, $"| {Text(target, "id")} | {Limit(target)} {Text(target, "unit")} | {string.Join(" | ", values.Select(Measured))} |\n");
        }
    }

    return $"{table}\n{string.Join(' ', gates.Select((gate, i) => $"Gate {i + 1}: {Verdict(gate)}"))}\n";
}

static string Verdict(List<JsonElement> gate)
{
    var missed = gate.Where(target => !target.GetProperty("pass").GetBoolean()).Select(target => Text(target, "id")).ToArray();
    return missed.Length == 0 ? $"all {gate.Count} targets were reached." : $"{gate.Count - missed.Length} of {gate.Count} targets were reached; missed: {string.Join(", ", missed)}.";
}

// Whoever sees a part learns whether the rest is as good.
string PartOfGate(string[] ids)
{
    var all = Gate("gate");
    return $"{GateTable(ids.Select(id => all.Single(target => Text(target, "id") == id)))}\nOf this gate {Verdict(all)}\n";
}

// What decides is the median, unless it is the largest value or the end of an interval: then the median stands beside it.
static string Measured(JsonElement target)
{
    var value = Show(Optional(target, "value"));
    var median = Show(Optional(target, "median"));
    return (value == median ? value : $"{value} (median {median})") + (target.GetProperty("pass").GetBoolean() ? "" : " **missed**");
}

static string Limit(JsonElement target) => $"{(target.GetProperty("atLeast").GetBoolean() ? "at least" : "at most")} {Show(Number(target, "limit"))}";

static string Table(List<Figure> figures)
{
    var xs = figures.Select(f => f.X).Distinct().Order().ToArray();
    var table = new StringBuilder($"| {figures[0].Unit} | {string.Join(" | ", xs.Select(x => $"{Show(x)} {figures[0].Axis}"))} |\n|---|{string.Concat(xs.Select(_ => "---|"))}\n");
    foreach (var series in figures.GroupBy(f => f.Series))
    {
        var cells = xs.Select(x => series.FirstOrDefault(f => f.X == x) is { } f ? f.Cell : "");
        table.Append(CultureInfo.InvariantCulture, $"| {series.Key} | {string.Join(" | ", cells)} |\n");
    }

    return table.ToString();
}

static string List(List<Figure> figures)
{
    var table = new StringBuilder("| who | figure | median | 95 % interval |\n|---|---|---|---|\n");
    foreach (var f in figures)
    {
        table.Append(CultureInfo.InvariantCulture, $"| {f.Series} | {f.Unit}, {Show(f.X)} {f.Axis} | {Show(f.Median)} | {f.Interval} |\n");
    }

    return table.ToString();
}

static string ChartOf(string name, List<Figure> figures, string page)
{
    var folder = Path.Combine(Path.GetDirectoryName(page) ?? ".", "performance");
    Directory.CreateDirectory(folder);
    File.WriteAllText(Path.Combine(folder, name + ".svg"), Chart.Draw(figures));
    return $"![{figures[0].Unit} against {figures[0].Axis}](performance/{name}.svg)\n";
}

static string Text(JsonElement element, string name) => element.GetProperty(name).GetString() ?? "";

static double Number(JsonElement element, string name) => element.GetProperty(name).GetDouble();

static double? Optional(JsonElement element, string name) =>
    element.GetProperty(name) is { ValueKind: JsonValueKind.Number } value ? value.GetDouble() : null;

static string Show(double? number) => number is { } value ? Chart.Show(value) : "-";

internal sealed record Figure(string Series, double X, string Axis, string Unit, double Median, double Low, double High, int Rounds)
{
    /// <summary>Of fewer than six values the interval would not be one of 95 %.</summary>
    public string Interval => Rounds switch
    {
        1 => "",
        < 6 => $"{Chart.Show(Low)}-{Chart.Show(High)}, all of {Rounds}",
        _ => $"{Chart.Show(Low)}-{Chart.Show(High)}",
    };

    public string Cell => Rounds == 1 ? Chart.Show(Median) : $"{Chart.Show(Median)} ({Interval})";
}

internal static partial class Markers
{
    [GeneratedRegex("<!-- figures: (?<what>[^>]*?) -->.*?<!-- /figures -->", RegexOptions.Singleline)]
    public static partial Regex Figures();
}

/// <summary>Lines over categories: what grows by powers of ten stands at equal distances. The whiskers are 95 % intervals.</summary>
internal static class Chart
{
    private const int Width = 720, Height = 340, Left = 70, Right = 20, Top = 20, Bottom = 48, LegendRow = 18;

    // Readable on white and on black alike; the text follows the reader's scheme.
    private static readonly string[] Colours = ["#2f81f7", "#e3651d", "#3fa45b", "#a371f7", "#c9a227", "#d4477e"];

    public static string Draw(List<Figure> figures)
    {
        var xs = figures.Select(f => f.X).Distinct().Order().ToArray();
        var series = figures.GroupBy(f => f.Series).ToArray();
        var top = Ceiling(figures.Max(f => f.High));
        var height = Height + (series.Length * LegendRow);
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"""
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {height}" font-family="system-ui, sans-serif" font-size="12">
            <style>
              text {SvgStyle("#24292f")} .grid {SvgGrid("#d0d7de")}
              @media (prefers-color-scheme: dark) {SvgDark()}
            </style>

            """);
        for (var tick = 0; tick <= 4; tick++)
        {
            var value = top * tick / 4;
            svg.Append(CultureInfo.InvariantCulture, $"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(value):F1}\" y2=\"{Y(value):F1}\"/>");
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left - 8}\" y=\"{Y(value) + 4:F1}\" text-anchor=\"end\">{Show(value)}</text>\n");
        }

        for (var i = 0; i < xs.Length; i++)
        {
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{X(i):F1}\" y=\"{Height - Bottom + 18}\" text-anchor=\"middle\">{Show(xs[i])}</text>\n");
        }

        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 10}\" text-anchor=\"middle\">{Escape(figures[0].Axis)}</text>");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"{Top - 6}\">{Escape(figures[0].Unit)}</text>\n");
        for (var i = 0; i < series.Length; i++)
        {
            var colour = Colours[i % Colours.Length];
            var points = series[i].OrderBy(f => f.X).Select(f => (X: X(Array.IndexOf(xs, f.X)), f)).ToArray();
            svg.Append(CultureInfo.InvariantCulture, $"<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{string.Join(' ', points.Select(p => FormattableString.Invariant($"{p.X:F1},{Y(p.f.Median):F1}")))}\"/>\n");
            foreach (var (x, f) in points)
            {
                svg.Append(CultureInfo.InvariantCulture, $"<line stroke=\"{colour}\" x1=\"{x:F1}\" x2=\"{x:F1}\" y1=\"{Y(f.Low):F1}\" y2=\"{Y(f.High):F1}\"/>");
                svg.Append(CultureInfo.InvariantCulture, $"<circle fill=\"{colour}\" cx=\"{x:F1}\" cy=\"{Y(f.Median):F1}\" r=\"3\"><title>{Escape(f.Series)}: {Show(f.Median)} {Escape(f.Unit)}</title></circle>\n");
            }

            var row = Height + (i * LegendRow);
            svg.Append(CultureInfo.InvariantCulture, $"<rect fill=\"{colour}\" x=\"{Left}\" y=\"{row}\" width=\"12\" height=\"4\"/><text x=\"{Left + 20}\" y=\"{row + 7}\">{Escape(series[i].Key)}</text>\n");
        }

        return svg.Append("</svg>\n").ToString();

        double X(int i) => xs.Length == 1 ? (Left + Width - Right) / 2.0 : Left + 20 + (i * (Width - Left - Right - 40.0) / (xs.Length - 1));

        double Y(double value) => Height - Bottom - (Math.Min(value, top) / top * (Height - Top - Bottom));
    }

    public static string Show(double value) => value switch
    {
        _ when value == Math.Round(value) && Math.Abs(value) < 1e9 => value.ToString("N0", CultureInfo.InvariantCulture),
        _ when Math.Abs(value) >= 100 => value.ToString("N0", CultureInfo.InvariantCulture),
        _ when Math.Abs(value) >= 10 => value.ToString("N1", CultureInfo.InvariantCulture),
        _ => value.ToString("0.###", CultureInfo.InvariantCulture),
    };

    /// <summary>The next of 1, 2, 4 or 8 times a power of ten: quarters of it are round.</summary>
    private static double Ceiling(double value)
    {
        if (value <= 0)
        {
            return 1;
        }

        var power = Math.Pow(10, Math.Floor(Math.Log10(value)));
        return new[] { 1, 2, 4, 8, 10 }.First(factor => factor * power >= value) * power;
    }

    private static string Escape(string text) => SecurityElement.Escape(text);

    private static string SvgStyle(string colour) => $"{{ fill: {colour}; }}";

    private static string SvgGrid(string colour) => $"{{ stroke: {colour}; stroke-width: 1; }}";

    private static string SvgDark() => $"{{ text {SvgStyle("#e6edf3")} .grid {SvgGrid("#30363d")} }}";
}
