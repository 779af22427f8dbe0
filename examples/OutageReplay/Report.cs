using System.Text.Json;
using System.Text.Json.Serialization;
using OutageReplay.Acts;

namespace OutageReplay;

/// <summary>All figures of a replay, as <c>--json</c> writes them.</summary>
internal sealed record Report(ActFigures Naive, ActFigures Pooled, IReadOnlyList<ChurnFigures> Churn, ReplayEnvironment Environment)
{
    public async Task WriteAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            string json = JsonSerializer.Serialize(this, ReportJson.Default.Report);
            await File.WriteAllTextAsync(file, json + "\n", cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ReplayException($"--json: {exception.Message}", exception);
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(Report))]
internal sealed partial class ReportJson : JsonSerializerContext;
