namespace PooledTcp.Configuration;

/// <summary>One endpoint's <c>Shutdown</c> section, validated. Compared by value; all of it may change under live connections.</summary>
internal sealed record ShutdownSettings
{
    public required ClosesFirst ClosesFirst { get; init; }

    /// <summary>The configured farewell; empty when there is none. Code's own farewell, if any, goes before it.</summary>
    public required GoodbyeBytes Goodbye { get; init; }

    public required TimeSpan GoodbyeTimeout { get; init; }

    public required TimeSpan ServerCloseTimeout { get; init; }

    public required TimeSpan DrainTimeout { get; init; }

    public required bool AllowQuietClose { get; init; }

    public required bool AllowAbort { get; init; }
}
