using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace PooledTcp.LoadTest.Reporting;

/// <summary>What a command writes for <c>--json</c>. benchmarks/charts.cs reads both.</summary>
internal static class ReportFile
{
    private static readonly JsonSerializerOptions Indented = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>The gate's: an array of targets.</summary>
    public static Task WriteTargetsAsync(FileInfo file, Report report) => WriteAsync(file, report.Targets);

    /// <summary>A scenario's: the machine, every figure, and the targets that were looked at.</summary>
    public static Task WriteAllAsync(FileInfo file, string command, Effort effort, Report report) => WriteAsync(file, new
    {
        Command = command,
        Effort = effort,
        At = DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture) + " UTC",
        Machine = DescribeMachine(),
        RoundsRepeated = report.Disturbed.Repeated,
        DisturbedRoundsKept = report.Disturbed.Kept,
        report.Figures,
        report.Targets,
    });

    public static string DescribeMachine() =>
        $"{Environment.ProcessorCount} cores, {RuntimeInformation.OSArchitecture}, {RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}";

    private static async Task WriteAsync<T>(FileInfo file, T content)
    {
        file.Directory?.Create();
        await using FileStream stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, content, Indented);
    }
}
