namespace PooledTcp.Shutdown;

/// <summary>What to do with a connection: up to three methods, each tried when the one before it ran out of time, and why.</summary>
internal readonly record struct ClosePlan
{
    public required CloseMethod First { get; init; }

    public CloseMethod Second { get; init; }

    public CloseMethod Third { get; init; }

    /// <summary>A Graceful step takes a token and waits for it if need be; otherwise one without a token is passed over.</summary>
    public bool WaitsForToken { get; init; }

    /// <summary>The Graceful step goes ahead without a token: the share is exceeded, with a warning.</summary>
    public bool ExceedsShare { get; init; }

    /// <summary>For logs and traces.</summary>
    public required string Why { get; init; }
}
