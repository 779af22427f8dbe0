using System.Text.Json.Serialization;

namespace PooledTcp.AspNetCore.Stats;

/// <summary>Made at build time, so that a trimmed or native service can write it.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, GenerationMode = JsonSourceGenerationMode.Default)]
[JsonSerializable(typeof(StatsReport))]
internal sealed partial class StatsJsonContext : JsonSerializerContext;
