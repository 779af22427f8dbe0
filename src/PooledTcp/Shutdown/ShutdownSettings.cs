namespace PooledTcp.Shutdown;

/// <summary>One endpoint's <c>Shutdown</c> section, validated. Compared by value.</summary>
internal sealed record ShutdownSettings
{
    public required ClosesFirst ClosesFirst { get; init; }

    public required TimeSpan GoodbyeTimeout { get; init; }

    public required TimeSpan ServerCloseTimeout { get; init; }

    public required TimeSpan DrainTimeout { get; init; }

    public required bool AllowQuietClose { get; init; }

    public required bool AllowAbort { get; init; }
}
