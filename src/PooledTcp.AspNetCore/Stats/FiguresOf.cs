using System.Net;
using System.Net.Sockets;
using PooledTcp.Telemetry;

namespace PooledTcp.AspNetCore.Stats;

/// <summary>Snapshots in the words of the JSON document.</summary>
internal static class FiguresOf
{
    public static PoolFigures Pool(TcpPoolSnapshot pool, Counters recent, double? interval, int total, int? maxTotal)
    {
        List<string> trouble = Trouble.Of(pool, interval is null ? null : recent);
        Verdict verdict = Verdict.Of(pool, recent, interval, total, maxTotal);
        return new PoolFigures
        {
            Name = pool.Name,
            Address = pool.Address,
            AdHoc = pool.IsAdHoc,
            State = Code(pool.State),
            Generation = pool.Generation,
            Severity = Trouble.Severity(trouble),
            Trouble = trouble,
            Verdict = verdict.Code,
            Explanation = verdict.Text,
            Connection = new(
                pool.Idle,
                pool.Used,
                pool.Connecting,
                pool.Closing,
                pool.Idle + pool.Used + pool.Connecting + pool.Closing,
                pool.MaxConnections,
                pool.MinIdleConnections,
                pool.MaxConnecting),
            PendingRequests = pool.Waiting,
            PendingRequestsMax = pool.MaxWaiters,
            Rents = pool.Rents,
            RentsWaited = pool.RentsWaited,
            RentsRefused = pool.RentsRefused,
            Timeouts = pool.RentTimeouts,
            Retries = pool.Retries,
            WaitTime = Timing(pool.WaitTime),
            CreateTime = Timing(pool.CreateTime),
            Created = pool.Created,
            CreateFailures = pool.DialsFailed,
            Closed = Closes(pool.Closed, pool.ClosedByPeer, pool.ClosedByReason, pool.ClosedByMethod),
            Rates = interval is { } seconds ? recent.PerSecond(seconds) : null,
            Port = new(
                pool.PortsUsed,
                pool.PortBudget,
                pool.PortBudget == 0 ? null : Math.Round(pool.PortPressure, 6),
                pool.TimeWaitOwed,
                pool.TimeWaitLimit),
            Breaker = Code(pool.BreakerState),
            Addresses =
            [
                .. pool.Addresses.Select(static address =>
                    new AddressFigures(Spell(address.EndPoint), address.Connections, Code(address.BreakerState), address.ConsecutiveFailures)),
            ],
            LearnedIdleLimit = pool.LearnedIdleLimit?.TotalSeconds,

            // Without its message: that of a handshake's exception is the user's, and may hold a password.
            LastConnectError = pool.LastConnectError is { } error
                ? new(ErrorTypes.Of(error), Math.Round(pool.LastConnectErrorAge?.TotalSeconds ?? 0, 3))
                : null,
        };
    }

    public static TotalFigures Total(PoolFigures[] figures, TcpPoolSnapshot[] pools, Counters recent, double? interval, int? maxTotal) => new()
    {
        Pools = figures.Length,
        PoolsFailing = figures.Count(static pool => string.Equals(pool.Severity, Trouble.Failing, StringComparison.Ordinal)),
        PoolsStrained = figures.Count(static pool => string.Equals(pool.Severity, Trouble.Strained, StringComparison.Ordinal)),
        PortPressureMax = figures.Max(static pool => pool.Port.Pressure),
        Connection = new(
            pools.Sum(static pool => pool.Idle),
            pools.Sum(static pool => pool.Used),
            pools.Sum(static pool => pool.Connecting),
            pools.Sum(static pool => pool.Closing),
            pools.Sum(static pool => pool.Idle + pool.Used + pool.Connecting + pool.Closing),
            maxTotal,
            Sum(pools, static pool => pool.MinIdleConnections),
            Sum(pools, static pool => pool.MaxConnecting)),
        PendingRequests = pools.Sum(static pool => pool.Waiting),
        PendingRequestsMax = Sum(pools, static pool => pool.MaxWaiters),
        Rents = pools.Sum(static pool => pool.Rents),
        RentsWaited = pools.Sum(static pool => pool.RentsWaited),
        RentsRefused = pools.Sum(static pool => pool.RentsRefused),
        Timeouts = pools.Sum(static pool => pool.RentTimeouts),
        Retries = pools.Sum(static pool => pool.Retries),
        WaitTime = Timing(Together(pools.Select(static pool => pool.WaitTime))),
        CreateTime = Timing(Together(pools.Select(static pool => pool.CreateTime))),
        Created = pools.Sum(static pool => pool.Created),
        CreateFailures = pools.Sum(static pool => pool.DialsFailed),
        Closed = Closes(
            pools.Sum(static pool => pool.Closed),
            pools.Sum(static pool => pool.ClosedByPeer),
            Together(pools.Select(static pool => pool.ClosedByReason)),
            Together(pools.Select(static pool => pool.ClosedByMethod))),
        Rates = interval is { } seconds ? recent.PerSecond(seconds) : null,
    };

    /// <summary>Settings are allowed any size, and ten thousand pools have them.</summary>
    private static int Sum(TcpPoolSnapshot[] pools, Func<TcpPoolSnapshot, int> setting) =>
        (int)Math.Min(int.MaxValue, pools.Sum(pool => (long)setting(pool)));

    private static TimingFigures Timing(TcpTimings timings) => new(
        timings.Count, timings.Total.TotalSeconds, timings.Average.TotalSeconds, timings.Longest.TotalSeconds);

    private static TcpTimings Together(IEnumerable<TcpTimings> all) => all.Aggregate(
        default(TcpTimings),
        static (a, b) => new(a.Count + b.Count, a.Total + b.Total, a.Longest > b.Longest ? a.Longest : b.Longest));

    private static Dictionary<string, long> Together(IEnumerable<IReadOnlyDictionary<string, long>> all)
    {
        Dictionary<string, long> sums = new(StringComparer.Ordinal);
        foreach ((string key, long count) in all.SelectMany(static counts => counts))
        {
            sums[key] = sums.GetValueOrDefault(key) + count;
        }

        return sums;
    }

    private static CloseFigures Closes(
        long closed, long byPeer, IReadOnlyDictionary<string, long> byReason, IReadOnlyDictionary<string, long> byMethod) => new(
            closed,
            byReason,
            byMethod,
            new Dictionary<string, long>(StringComparer.Ordinal) { ["local"] = closed - byPeer, ["peer"] = byPeer });

    private static string Spell(EndPoint endPoint) => endPoint switch
    {
        DnsEndPoint name => $"{name.Host}:{name.Port}",
        UnixDomainSocketEndPoint path => $"unix:{path}",
        _ => endPoint.ToString() ?? "",
    };

    private static string Code<T>(T value)
        where T : struct, Enum => SnakeCase.Of(value.ToString());
}
