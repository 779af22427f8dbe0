using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Shutdown;

namespace PooledTcp.Pooling;

/// <summary>
/// Retention: about as many connections stay open as the last two periods used. What a burst left behind costs ports here
/// and sockets at the server, for nothing.
/// </summary>
/// <remarks>
/// <para>
/// <b>What counts as used.</b> The largest number of connections that were lent between two sweeps, or out for all that time.
/// A rent counts its connection's uses anyway, so the warm path pays nothing for it, and no burst is too short to be seen, as
/// it would be by looking now and then at how many are out. Idle connections are taken from the top of a stack, so those lent
/// between two sweeps are hardly more than were out at one moment; the slots of other processors come on top. Who waits
/// needs a connection, too, and so does who asks for a warm-up.
/// </para>
/// <para>
/// <b>Beside the other rules.</b> A lull of two whole periods comes before anything closes, and the running period counts as
/// soon as it needs more. MinIdleConnections come on top: they are the spare ones behind what is used. One stays in any case:
/// a service that calls once a minute is IdleTimeout's business. What was opened and never lent yet is so, too: it was made
/// because somebody expects to need it.
/// </para>
/// </remarks>
internal sealed partial class ConnectionPool
{
    /// <summary>How long an unused connection is spared where IdleTimeout does not end: the default of that.</summary>
    private static readonly TimeSpan UnusedFor = TimeSpan.FromSeconds(90);

    // Under the gate only.
    private TimeSpan _periodEnd = TimeSpan.MinValue;
    private int _peak;
    private int _lastPeak;
    private int _needed = int.MaxValue;
    private int _portion;
    private bool _lentSinceSweep;
    private bool _hasUnneeded;

    /// <summary>Under the gate: somebody said that so many will be used.</summary>
    private void ExpectUse(int count) => _peak = Math.Max(_peak, count);

    /// <summary>Under the gate, as part of the sweep: this sweep's portion of what is not needed.</summary>
    private void EvictUnneeded(TimeSpan now, TimeSpan interval, List<(TcpConnection Connection, CloseReason Reason)> evicted)
    {
        PoolSettings settings = _settings;
        int used = Math.Min(_waiters.Count, settings.MaxConnections);
        int open = 0;
        _lentSinceSweep = false;
        _hasUnneeded = false;
        foreach (TcpConnection? connection in _table.Items)
        {
            if (connection is null || connection.IsClosed)
            {
                continue;
            }

            // One reading: a rent between two would be missed for good.
            int uses = connection.Uses;
            bool wasLent = uses != connection.UsesSeen;
            _lentSinceSweep |= wasLent;
            used += wasLent || connection.IsOnLoan ? 1 : 0;
            connection.UsesSeen = uses;
            open += IsSparedAsUnused(connection, settings, now) ? 0 : 1;
        }

        ExpectUse(used);
        if (settings.RetentionPeriod == Timeout.InfiniteTimeSpan || _state != PoolState.Open || _paused)
        {
            // A pool that lends nothing for a while will need as much as before.
            _periodEnd = TimeSpan.MinValue;
            return;
        }

        bool isNewPeriod = TryStartPeriod(now, settings.RetentionPeriod);
        long surplus = open - Math.Max(1L, Math.Max(_needed, _peak)) - settings.MinIdleConnections;
        _hasUnneeded = surplus > 0;
        if (!_hasUnneeded)
        {
            return;
        }

        if (isNewPeriod)
        {
            double sweeps = Math.Max(1, Math.Floor(settings.RetentionPeriod / interval));
            _portion = (int)Math.Ceiling(surplus / sweeps);
        }

        int left = (int)Math.Min(surplus, _portion);
        if (left > 0)
        {
            EvictColdest(left, settings, now, evicted);
        }
    }

    private void EvictColdest(int count, PoolSettings settings, TimeSpan now, List<(TcpConnection Connection, CloseReason Reason)> evicted)
    {
        // An array first: the span must not be held by the query.
        IEnumerable<TcpConnection> cold = _table.Items.ToArray().OfType<TcpConnection>()
            .Where(c => c.IsIdle && !IsSparedAsUnused(c, settings, now))
            .OrderBy(static c => c.IdleSince);
        foreach (TcpConnection connection in cold)
        {
            if (connection.TryEvict())
            {
                evicted.Add((connection, CloseReason.OverCapacity));
                if (--count == 0)
                {
                    return;
                }
            }
        }
    }

    private bool TryStartPeriod(TimeSpan now, TimeSpan period)
    {
        if (now < _periodEnd)
        {
            return false;
        }

        // A period of which nobody saw the end (the pool is new, or was at rest) says nothing about what is needed.
        bool wasWatched = _periodEnd != TimeSpan.MinValue && now < _periodEnd + period;
        _needed = wasWatched ? Math.Max(_lastPeak, _peak) : int.MaxValue;
        _lastPeak = wasWatched ? _peak : int.MaxValue;
        _peak = wasWatched ? 0 : _peak;
        _portion = 0;
        _periodEnd = now + period;
        return true;
    }

    private static bool IsSparedAsUnused(TcpConnection connection, PoolSettings settings, TimeSpan now) =>
        connection.Uses == 0
        && now - connection.IdleSince < (settings.IdleTimeout == Timeout.InfiniteTimeSpan ? UnusedFor : settings.IdleTimeout);
}
