namespace PooledTcp.AspNetCore.Stats;

/// <summary>
/// Walks the pools when somebody asks, at most once a second: each snapshot takes its pool's gate, and ten open browsers must
/// not cost ten walks. Between two walks it remembers the counters, which is what rates are made of; it has no timer, so a page
/// that nobody reads costs nothing.
/// </summary>
/// <param name="walk">Snapshots of all pools, and the limit over them.</param>
/// <param name="time">The clock of everything here.</param>
internal sealed class StatsCollector(Func<(TcpPoolSnapshot[] Pools, int? MaxTotalConnections)> walk, TimeProvider time)
{
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Rates are over one to two of these, and a reading, once somebody has looked that long: short enough to show what happens now, long enough
    /// that a figure can be read before it changes.
    /// </summary>
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(4);

    /// <summary>An average over longer says nothing about now.</summary>
    private static readonly TimeSpan LongestInterval = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private StatsSample? _latest;
    private long _latestAt;
    private Mark? _base;
    private Mark? _next;

    public StatsSample Collect()
    {
        lock (_gate)
        {
            if (_latest is null || time.GetElapsedTime(_latestAt) >= Freshness)
            {
                (TcpPoolSnapshot[] pools, int? maxTotal) = walk();
                _latestAt = time.GetTimestamp();
                _latest = Sample(pools, maxTotal);
            }

            return _latest;
        }
    }

    private StatsSample Sample(TcpPoolSnapshot[] pools, int? maxTotal)
    {
        if (_base is { } old && time.GetElapsedTime((_next ?? old).At, _latestAt) > LongestInterval)
        {
            _base = _next = null;
        }

        Mark? since = _base;
        double? interval = since is null ? null : time.GetElapsedTime(since.At, _latestAt).TotalSeconds;
        StatsSample sample = Assemble(pools, since, interval, maxTotal);
        if (_base is null)
        {
            _base = Mark.Of(pools, _latestAt);
        }
        else if (time.GetElapsedTime((_next ?? _base).At, _latestAt) >= Period)
        {
            _base = _next ?? _base;
            _next = Mark.Of(pools, _latestAt);
        }

        return sample;
    }

    private StatsSample Assemble(TcpPoolSnapshot[] pools, Mark? since, double? interval, int? maxTotal)
    {
        int total = pools.Sum(static pool => pool.Idle + pool.Used + pool.Connecting + pool.Closing);
        Counters all = default;
        var figures = new PoolFigures[pools.Length];
        for (int i = 0; i < pools.Length; i++)
        {
            // A pool made since then counts from zero.
            Counters now = Counters.Of(pools[i]);
            Counters recent = since is null ? now : now.Since(since.Counters.GetValueOrDefault((pools[i].IsAdHoc, pools[i].Name)));
            all += recent;
            figures[i] = FiguresOf.Pool(pools[i], recent, interval, total, maxTotal);
        }

        Array.Sort(figures, WorstFirst);
        return new StatsSample(
            time.GetUtcNow(), interval is { } seconds ? Math.Round(seconds, 3) : null, FiguresOf.Total(figures, pools, all, interval, maxTotal), figures);
    }

    /// <summary>Then the configured ones, which somebody named, then the busiest; by name, so that equals keep their places.</summary>
    private static int WorstFirst(PoolFigures a, PoolFigures b)
    {
        int order = Trouble.Rank(b.Severity).CompareTo(Trouble.Rank(a.Severity));
        order = order != 0 ? order : a.AdHoc.CompareTo(b.AdHoc);
        order = order != 0 || !a.AdHoc ? order : b.PendingRequests.CompareTo(a.PendingRequests);
        order = order != 0 || !a.AdHoc ? order : b.Connection.Used.CompareTo(a.Connection.Used);
        return order != 0 ? order : string.CompareOrdinal(a.Name, b.Name);
    }

    private sealed record Mark(long At, Dictionary<(bool IsAdHoc, string Name), Counters> Counters)
    {
        public static Mark Of(TcpPoolSnapshot[] pools, long at)
        {
            Dictionary<(bool IsAdHoc, string Name), Counters> counters = new(pools.Length);
            foreach (TcpPoolSnapshot pool in pools)
            {
                counters[(pool.IsAdHoc, pool.Name)] = Stats.Counters.Of(pool);
            }

            return new Mark(at, counters);
        }
    }
}
