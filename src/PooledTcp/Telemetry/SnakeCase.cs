namespace PooledTcp.Telemetry;

/// <summary>How telemetry spells what is a name in code.</summary>
internal static class SnakeCase
{
    public static string Of(string name) => string.Concat(name.Select((c, i) =>
        i > 0 && char.IsUpper(c) ? $"_{char.ToLowerInvariant(c)}" : char.ToLowerInvariant(c).ToString()));
}
