// Unites the Cobertura files of all test projects and fails below a limit:
//   dotnet run --file .ci/coverage.cs -- PERCENT SOURCE-FOLDER REPORT-FOLDER
// A line counts once, and as covered if any project's tests ran it: each file alone would show what its own
// project missed, and their average nothing at all.
using System.Globalization;
using System.Xml.Linq;

if (args is not [var percent, var sourceFolder, var reportFolder])
{
    Console.Error.WriteLine("coverage: expected PERCENT SOURCE-FOLDER REPORT-FOLDER");
    return 64;
}

var minimum = double.Parse(percent, CultureInfo.InvariantCulture);
var marker = $"/{sourceFolder.Trim('/')}/";
var reports = Directory.Exists(reportFolder)
    ? Directory.GetFiles(reportFolder, "*.cobertura.xml", SearchOption.AllDirectories)
    : [];
var hits = new Dictionary<(string File, int Line), bool>();

foreach (var report in reports)
{
    foreach (var type in XDocument.Load(report).Descendants("class"))
    {
        var file = ((string?)type.Attribute("filename") ?? "").Replace('\\', '/');
        var start = file.LastIndexOf(marker, StringComparison.Ordinal);
        // Generated code lies under obj: nobody reads it, nobody tests it.
        if (start < 0 || file.Contains("/obj/", StringComparison.Ordinal))
        {
            continue;
        }

        file = file[(start + marker.Length)..];
        foreach (var line in type.Descendants("line"))
        {
            var key = (file, (int)line.Attribute("number")!);
            hits[key] = hits.GetValueOrDefault(key) || (long)line.Attribute("hits")! > 0;
        }
    }
}

if (hits.Count == 0)
{
    Console.Error.WriteLine($"coverage: {reports.Length} reports in {reportFolder}, and no line of {sourceFolder} in them");
    return 1;
}

var files = hits.GroupBy(hit => hit.Key.File)
    .Select(group => (
        Name: group.Key,
        Lines: group.Count(),
        Missed: group.Where(hit => !hit.Value).Select(hit => hit.Key.Line).Order().ToArray()))
    .OrderByDescending(file => file.Missed.Length)
    .ThenBy(file => file.Name, StringComparer.Ordinal)
    .ToArray();

foreach (var (name, lines, missed) in files.Where(file => file.Missed.Length > 0).Take(12))
{
    Console.WriteLine($"  {lines - missed.Length,4} of {lines,4}  {name}: {string.Join(", ", Ranges(missed).Take(12))}");
}

var covered = hits.Count(hit => hit.Value);
var share = 100.0 * covered / hits.Count;
Console.WriteLine(string.Create(
    CultureInfo.InvariantCulture,
    $"coverage of {sourceFolder}: {share:F1} % of {hits.Count} lines in {files.Length} files, from {reports.Length} reports (at least {minimum} %)"));
return share >= minimum ? 0 : 1;

static IEnumerable<string> Ranges(int[] lines)
{
    for (var first = 0; first < lines.Length;)
    {
        var last = first;
        while (last + 1 < lines.Length && lines[last + 1] == lines[last] + 1)
        {
            last++;
        }

        yield return first == last ? $"{lines[first]}" : $"{lines[first]}-{lines[last]}";
        first = last + 1;
    }
}
