namespace PooledTcp.Configuration;

/// <summary>One endpoint's <c>Health</c> section, validated. Compared by value; all of it may change under live connections.</summary>
internal sealed record HealthSettings
{
    public required int FailuresToOpen { get; init; }

    public required TimeSpan MaxBackoff { get; init; }
}
