namespace PooledTcp.AspNetCore.Stats;

/// <summary>Every pool at one moment, worst first.</summary>
internal sealed record StatsSample(DateTimeOffset Time, double? Interval, TotalFigures Totals, PoolFigures[] Pools)
{
    public StatsReport ToReport(StatsQuery query, string? application)
    {
        PoolFigures[] matching = query.Pool.Length == 0 ? Pools : [.. Pools.Where(query.Matches)];
        return new StatsReport
        {
            Time = Time,
            Application = application,
            Interval = Interval,
            Totals = Totals,
            Matching = matching.Length,
            Offset = query.Offset,
            Limit = query.Limit,
            Pools = [.. matching.Skip(query.Offset).Take(query.Limit)],
        };
    }
}
