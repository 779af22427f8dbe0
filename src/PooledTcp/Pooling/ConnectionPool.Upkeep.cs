using System.Diagnostics;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Shutdown;

namespace PooledTcp.Pooling;

/// <summary>
/// Upkeep: the sweep that closes what expired and marks what will, MinIdleConnections, and the end of an unused ad hoc
/// pool. Called by <see cref="Maintenance"/> only, one call at a time.
/// </summary>
internal sealed partial class ConnectionPool
{
    /// <summary>An idle or life time is looked at this often while it runs, so it ends at most that share late.</summary>
    private const int SweepsPerTimeout = 20;

    /// <summary>So a period's closings come in four portions at least, and a warning at most that share late.</summary>
    private const int SweepsPerPeriod = 4;

    private static readonly TimeSpan ShortestSweep = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestSweep = TimeSpan.FromSeconds(5);

    private int _maintenanceRequested;
    private TimeSpan _nextSweep;
    private bool _wasUnused;
    private volatile bool _sweepNow;
    private volatile bool _topUpFailed;

    /// <summary>True for the first request since maintenance last looked: the others need no place in its queue.</summary>
    public bool TryMarkMaintenanceRequested() => Interlocked.Exchange(ref _maintenanceRequested, 1) == 0;

    /// <summary>Called before maintenance looks, so that a request made while it looks is queued again.</summary>
    public void AcceptMaintenance() => Interlocked.Exchange(ref _maintenanceRequested, 0);

    /// <summary>
    /// One look: the sweep if it is due, MinIdleConnections always. Returns when the next is due, or null when there is
    /// nothing to look after until somebody requests it. <paramref name="retired"/> tells that the pool has taken itself
    /// out of use.
    /// </summary>
    public TimeSpan? Maintain(TimeSpan now, out bool retired)
    {
        retired = false;
        TimeSpan lookup = TendRoutes(now);
        TimeSpan interval = SweepInterval(_settings);
        bool isDue = NoteAwake(now, interval) || _sweepNow;
        if (isDue)
        {
            Services.Ports.Watch.Sweep(_isQuiet);
            WatchPortPressure();
            isDue = _sweepNow || !TrySleepOn(now);
        }

        if (isDue)
        {
            _sweepNow = false;
            _topUpFailed = false;
            _nextSweep = now + interval;
            Sweep(now, interval);
            StartProbes(now);
            if (IsAdHoc)
            {
                // It goes when two sweeps in a row found it empty: a key in use would have shown in between.
                bool unused = IsUnused();
                retired = unused && _wasUnused && TryRetire();
                _wasUnused = unused;
            }
        }

        // A failed dial, and every close, asks for a look, too; dialing again at each would make a dead endpoint a hot
        // loop. So after a failure the next sweep is the first to try again.
        if (!_topUpFailed)
        {
            TopUpIdle();
        }

        if (isDue && !retired)
        {
            SettleDown(now, interval);
        }

        return retired || IsAtRest() ? null : lookup < _nextSweep ? lookup : _nextSweep;
    }

    /// <summary>
    /// How often this pool is swept: a twentieth of its shortest timeout, a quarter of what is only counted or told, from
    /// 20 ms to 5 s, and often enough to mark every connection before its idle time makes a rent look twice.
    /// </summary>
    private TimeSpan SweepInterval(PoolSettings settings)
    {
        TimeSpan shortest = LongestSweep * SweepsPerTimeout;
        foreach (TimeSpan timeout in (ReadOnlySpan<TimeSpan>)[settings.IdleTimeout, settings.Lifetime])
        {
            if (timeout != Timeout.InfiniteTimeSpan && timeout < shortest)
            {
                shortest = timeout;
            }
        }

        TimeSpan interval = shortest / SweepsPerTimeout;
        interval = settings.VerifyAfter is { } verify && verify < interval ? verify : interval;
        if (FindProbe(settings) is not null && settings.Health.ProbeInterval / SweepsPerProbe < interval)
        {
            interval = settings.Health.ProbeInterval / SweepsPerProbe;
        }

        interval = _peerIdleLimit.LookEvery < interval ? _peerIdleLimit.LookEvery : interval;

        foreach (TimeSpan time in (ReadOnlySpan<TimeSpan>)[settings.RetentionPeriod, settings.Health.LeaseWarningAfter])
        {
            if (time != Timeout.InfiniteTimeSpan && time / SweepsPerPeriod < interval)
            {
                interval = time / SweepsPerPeriod;
            }
        }

        return interval < ShortestSweep ? ShortestSweep : interval;
    }

    private bool IsUnused()
    {
        lock (_gate)
        {
            // Rents that an open breaker refused leave no other trace; retired, the pool would forget the breaker, too.
            bool refused = _refusedSinceSweep;
            _refusedSinceSweep = false;
            return Live == 0 && _waiters.Count == 0 && !refused;
        }
    }

    private bool IsAtRest()
    {
        lock (_gate)
        {
            bool nothingToKeep = _settings.MinIdleConnections == 0 || _state != PoolState.Open || Services.IsStopping;
            return _state == PoolState.Closed || (Live == 0 && _table.Count == 0 && nothingToKeep && !IsAdHoc);
        }
    }

    private void Sweep(TimeSpan now, TimeSpan interval)
    {
        LookAtUnwatched();
        List<(TcpConnection Connection, CloseReason Reason)> evicted = [];
        List<TcpConnection> closedByPeer = [];
        lock (_gate)
        {
            List<TcpConnection>? timedOut = null;
            foreach (TcpConnection? connection in _table.Items)
            {
                SweepOne(connection, now, interval, evicted, ref timedOut);
            }

            if (timedOut is not null)
            {
                EvictTimedOut(timedOut, evicted);
            }

            EvictUnneeded(now, interval, evicted);
        }

        foreach ((TcpConnection connection, CloseReason reason) in evicted)
        {
            Remove(connection, reason);
        }

        lock (_gate)
        {
            if (_hasDeadLinks)
            {
                RemoveDeadLinks();
                EvictClosedByPeer(closedByPeer);
            }
        }

        closedByPeer.ForEach(RemoveClosedByPeer);

        // A return that came while the stack was detached, or a rent that found it so.
        ServeFromIdle();
        WarnOfOverdueLeases(now);
    }

    private void SweepOne(
        TcpConnection? connection, TimeSpan now, TimeSpan interval, List<(TcpConnection Connection, CloseReason Reason)> evicted, ref List<TcpConnection>? timedOut)
    {
        if (connection is null || connection.IsClosed)
        {
            return;
        }

        connection.LetGoOfHandle();
        PoolSettings settings = _settings;
        CloseReason? reason = FindEviction(connection, settings, now);
        if (reason == CloseReason.IdleTimeout)
        {
            (timedOut ??= []).Add(connection);
        }
        else if (reason is not null && connection.TryEvict())
        {
            evicted.Add((connection, reason.Value));
            return;
        }

        MarkIfWorn(connection);

        // Two intervals ahead: a sweep that comes late must not let a connection be lent past its end.
        TimeSpan horizon = now + (2 * interval);
        if (LifetimeEnd(connection, settings) <= horizon
            || (connection.IsIdleOrProbed && IdleLookAt(connection, settings) <= horizon))
        {
            connection.Mark(Marks.ExpiresSoon);
        }
        else
        {
            connection.Unmark(Marks.ExpiresSoon);
        }

        if (FindOutdated(connection) is null)
        {
            // Its address is back.
            connection.Unmark(Marks.Outdated);
        }
    }

    /// <summary>
    /// Under the gate: the settings may have changed during its lease, which marks its last use by the limit at its rent. The sweep
    /// never takes it back: between its look and that the connection may have begun its last lease, and a rent looks at nothing else.
    /// </summary>
    private static void MarkIfWorn(TcpConnection connection)
    {
        if (connection.Uses >= connection.MaxUses)
        {
            connection.Mark(Marks.Worn);
        }
    }

    /// <summary>Under the gate, when their number has changed.</summary>
    private void NoteOnly()
    {
        TcpConnection? only = null;
        if (_open == 1)
        {
            foreach (TcpConnection? connection in _table.Items)
            {
                if (connection is { HasLeft: false })
                {
                    only = connection;
                    break;
                }
            }
        }

        Idle.Only = only;
    }

    /// <summary>For a connection that the pool owns: nobody counts a use meanwhile, nor changes the limit.</summary>
    private void UnmarkUnlessWorn(TcpConnection connection)
    {
        lock (_gate)
        {
            if (connection.Uses < connection.MaxUses)
            {
                connection.Unmark(Marks.Worn);
            }
        }
    }

    /// <summary>MinIdleConnections stay past IdleTimeout: the ones that idled least.</summary>
    private void EvictTimedOut(List<TcpConnection> timedOut, List<(TcpConnection Connection, CloseReason Reason)> evicted)
    {
        int minIdle = _settings.MinIdleConnections;
        int surplus = minIdle == 0 ? int.MaxValue : CountIdle() - minIdle;
        if (surplus < timedOut.Count)
        {
            if (surplus <= 0)
            {
                return;
            }

            timedOut.Sort(static (one, other) => one.IdleSince.CompareTo(other.IdleSince));
        }

        foreach (TcpConnection connection in timedOut)
        {
            if (surplus > 0 && connection.TryEvict())
            {
                surplus--;
                evicted.Add((connection, CloseReason.IdleTimeout));
            }
        }
    }

    /// <summary>Under the gate: new settings may have moved every end, so until the next sweep each rent and return looks at all of them.</summary>
    private void MarkAll()
    {
        foreach (TcpConnection? connection in _table.Items)
        {
            connection?.MaxUses = _settings.MaxUses;
            connection?.Mark(Marks.ExpiresSoon);
        }
    }

    private CloseReason? FindEviction(TcpConnection connection, PoolSettings settings, TimeSpan now)
    {
        if (!connection.IsIdle)
        {
            return null;
        }

        if (FindOutdated(connection) is { } outdated)
        {
            return outdated;
        }

        return connection.Uses >= settings.MaxUses ? CloseReason.MaxUses
            : now >= LifetimeEnd(connection, settings) ? CloseReason.MaxLifetime
            : now >= IdleEnd(connection, settings) ? CloseReason.IdleTimeout
            : now - connection.QuietSince >= _peerIdleLimit.LendFor ? CloseReason.PeerIdleLimit
            : null;
    }

    private void RemoveDeadLinks()
    {
        Idle.Compact();
        _hasDeadLinks = false;
        foreach (TcpConnection? connection in _table.Items.ToArray())
        {
            if (connection is { IsBuried: true })
            {
                if (connection.Linked)
                {
                    // A push was on its way while we compacted; it lands on a dead connection. Next time.
                    _hasDeadLinks = true;
                }
                else
                {
                    _table.Remove(connection);
                }
            }
        }

        Debug.Assert(_table.Count >= _open, "Every open connection is listed.");
    }

    private int CountIdle(bool orOnTheWay = false)
    {
        int idle = 0;
        foreach (TcpConnection? connection in _table.Items)
        {
            if (connection is { IsIdleOrProbed: true } || (orOnTheWay && connection is { IsIdleOrPooled: true }))
            {
                idle++;
            }
        }

        return idle;
    }
}
