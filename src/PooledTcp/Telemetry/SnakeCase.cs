namespace PooledTcp.Telemetry;

/// <summary>How telemetry spells what is a name in code.</summary>
internal static class SnakeCase
{
    public static string Of(string name) => string.Concat(name.Select((c, i) =>
        BeginsWord(name, i) ? $"_{char.ToLowerInvariant(c)}" : char.ToLowerInvariant(c).ToString()));

    /// <summary>Not within an abbreviation: IOPending is io_pending.</summary>
    private static bool BeginsWord(string name, int i) =>
        i > 0 && char.IsUpper(name[i]) && (!char.IsUpper(name[i - 1]) || (i + 1 < name.Length && char.IsLower(name[i + 1])));
}
