namespace PooledTcp.Configuration;

/// <summary>One endpoint's <c>Health</c> section, validated. Compared by value; all of it may change under live connections.</summary>
internal sealed record HealthSettings
{
    public required int FailuresToOpen { get; init; }

    public required TimeSpan MaxBackoff { get; init; }

    /// <summary>Null for the keepalive total; may be <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    public TimeSpan? VerifyAfter { get; init; }

    /// <summary>Null when configuration names no probe.</summary>
    public ProbeScript? Probe { get; init; }

    public required TimeSpan ProbeInterval { get; init; }

    public required TimeSpan ProbeTimeout { get; init; }

    /// <summary>May be <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    public required TimeSpan LeaseWarningAfter { get; init; }

    public required bool CaptureLeaseStacks { get; init; }
}
