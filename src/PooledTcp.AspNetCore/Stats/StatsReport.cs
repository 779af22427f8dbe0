namespace PooledTcp.AspNetCore.Stats;

/// <summary>
/// The JSON document. Its names are a promise (docs/stats-page.md): snake_case, times in seconds, counts since the pool was made,
/// shares from 0 to 1; null where there is no figure.
/// </summary>
internal sealed record StatsReport
{
    public required DateTimeOffset Time { get; init; }

    public required string? Application { get; init; }

    /// <summary>What <c>rates</c> are over; null with the first figures after a pause, when they are null, too.</summary>
    public required double? Interval { get; init; }

    public required TotalFigures Totals { get; init; }

    /// <summary>How many pools match the query, listed or not.</summary>
    public required int Matching { get; init; }

    public required int Offset { get; init; }

    public required int Limit { get; init; }

    public required IReadOnlyList<PoolFigures> Pools { get; init; }
}

/// <summary>What pools and their total have in common.</summary>
internal abstract record Figures
{
    public required ConnectionFigures Connection { get; init; }

    public required int PendingRequests { get; init; }

    public required int PendingRequestsMax { get; init; }

    public required long Rents { get; init; }

    public required long RentsWaited { get; init; }

    public required long RentsRefused { get; init; }

    public required long Timeouts { get; init; }

    public required long Retries { get; init; }

    public required TimingFigures WaitTime { get; init; }

    public required TimingFigures CreateTime { get; init; }

    public required long Created { get; init; }

    public required long CreateFailures { get; init; }

    public required CloseFigures Closed { get; init; }

    public required RateFigures? Rates { get; init; }
}

/// <summary>One pool.</summary>
internal sealed record PoolFigures : Figures
{
    public required string Name { get; init; }

    public required string Address { get; init; }

    public required bool AdHoc { get; init; }

    public required string State { get; init; }

    public required int Generation { get; init; }

    public required string Severity { get; init; }

    public required IReadOnlyList<string> Trouble { get; init; }

    public required string Verdict { get; init; }

    public required string Explanation { get; init; }

    public required PortFigures Port { get; init; }

    public required string Breaker { get; init; }

    public required IReadOnlyList<AddressFigures> Addresses { get; init; }

    public required double? LearnedIdleLimit { get; init; }

    public required ErrorFigures? LastConnectError { get; init; }
}

/// <summary>All pools together. Ports are missing: two pools to one address share theirs.</summary>
internal sealed record TotalFigures : Figures
{
    public required int Pools { get; init; }

    public required int PoolsFailing { get; init; }

    public required int PoolsStrained { get; init; }

    public required double? PortPressureMax { get; init; }
}

internal sealed record ConnectionFigures(int Idle, int Used, int Connecting, int Closing, int Count, int? Max, int IdleMin, int ConnectingMax);

internal sealed record TimingFigures(long Count, double Total, double Average, double Longest);

internal sealed record CloseFigures(
    long Count,
    IReadOnlyDictionary<string, long> ByReason,
    IReadOnlyDictionary<string, long> ByMethod,
    IReadOnlyDictionary<string, long> ByInitiator);

internal sealed record PortFigures(int Used, int Budget, double? Pressure, int TimeWait, int TimeWaitMax);

internal sealed record AddressFigures(string Endpoint, int Connections, string Breaker, int ConsecutiveFailures);

internal sealed record ErrorFigures(string Type, double Age);

/// <summary>Per second over the report's interval; averages are of what ended in it, null when nothing did.</summary>
internal sealed record RateFigures(
    double Rents,
    double RentsRefused,
    double Waits,
    double Created,
    double CreateFailures,
    double Closed,
    double Timeouts,
    double? WaitTimeAverage,
    double? CreateTimeAverage,
    double? ServedAtOnce);
