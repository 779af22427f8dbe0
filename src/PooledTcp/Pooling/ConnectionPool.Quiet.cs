using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Pooling;

/// <summary>
/// Quiet pools: one that lends nothing costs next to no CPU. Its coarse clock stands still, and the sweep sleeps until the first
/// connection reaches its end. (10,000 idle connections: from 1.9 ms of CPU a second to 0.14, which is what as many bare
/// descriptors cost; measured, the census left out.)
/// </summary>
/// <remarks>
/// <para>
/// <b>The mark keeps the promises.</b> Every connection of a quiet pool is marked as one that expires soon, so whoever rents
/// or returns it reads the clock: no stamp is older than it was with a tick each second, and nothing is lent past its end
/// although no sweep came by. The first such rent ends the quiet, and the sweep it asks for takes the marks away.
/// </para>
/// <para>
/// <b>Nobody slips by.</b> Maintenance says that the pool is quiet, marks, and then looks at words and uses; a rent takes the
/// word, then reads the mark, then whether the pool is quiet. A fence on either side: the rent is seen to have begun, or sees
/// that it has to wake the upkeep. What ends (a close, a dial) says so after its change under the gate, where
/// maintenance looks.
/// </para>
/// </remarks>
internal sealed partial class ConnectionPool
{
    /// <summary>
    /// A sleeping pool is looked at this often all the same: for what nobody tells of, as a peer-close watch that broke down.
    /// </summary>
    public static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(30);

    private volatile bool _isQuiet;
    private volatile bool _isAsleep;

    // Maintenance only.
    private long _createdAtSweep;

    /// <summary>Every connection is marked: nobody relies on the coarse clock.</summary>
    public bool IsQuiet => _isQuiet;

    /// <summary>For a rent that met a mark: the sweep takes the others away, so that the rents to come read no clock.</summary>
    private void EndQuiet()
    {
        if (_isQuiet)
        {
            _sweepNow = true;
            EndQuietSoon();
            Services.Maintenance.Request(this);
        }
    }

    /// <summary>For a new connection, which has no mark. A sweep now would dial again where the last dial failed; the tick is all it needs.</summary>
    private void EndQuietSoon()
    {
        _isQuiet = false;
        _isAsleep = false;
    }

    /// <summary>A connection is gone: what is left may need a look before the next end, though not at once.</summary>
    private void EndSleep()
    {
        if (_isAsleep)
        {
            _isAsleep = false;
            Services.Maintenance.Request(this);
        }
    }

    /// <summary>True when the sweep is due. Once awake, it is so within an interval, however long the sleep was to be.</summary>
    private bool NoteAwake(TimeSpan now, TimeSpan interval)
    {
        if (!_isAsleep && _nextSweep > now + interval)
        {
            _nextSweep = now + interval;
        }

        return now >= _nextSweep;
    }

    /// <summary>After a sweep: if nothing was lent since the one before, the pool is quiet, and may sleep.</summary>
    private void SettleDown(TimeSpan now, TimeSpan interval)
    {
        lock (_gate)
        {
            bool isNew = _created != _createdAtSweep;
            _createdAtSweep = _created;
            if (_lentSinceSweep || isNew)
            {
                _isQuiet = false;
                _isAsleep = false;
                return;
            }

            _isQuiet = true;
            _isAsleep = true;
            MarkAll();
            Interlocked.MemoryBarrier();
            TimeSpan next = FindNextEnd(now);
            if (next > _nextSweep)
            {
                _nextSweep = next;
            }
            else
            {
                _isAsleep = false;
            }
        }
    }

    /// <summary>
    /// A sleeping pool is looked at, and there is still nothing to sweep: that look was all, one walk instead of five (10,000
    /// connections: 1.6 ms instead of 3.8). Nothing slips by either: the marks are in place, and a rent that meets one asks for a sweep.
    /// </summary>
    private bool TrySleepOn(TimeSpan now)
    {
        lock (_gate)
        {
            TimeSpan next = _isAsleep ? FindNextEnd(now) : now;
            if (next <= now)
            {
                return false;
            }

            _nextSweep = next;
            return true;
        }
    }

    /// <summary>Under the gate: until when there is nothing to sweep; <paramref name="now"/> if that is not known.</summary>
    private TimeSpan FindNextEnd(TimeSpan now)
    {
        PoolSettings settings = _settings;
        if (_state != PoolState.Open || _paused || _waiters.Count + _warmUps.Count + _connecting + _closing > 0
            || _open == 0 || _open < settings.MinIdleConnections || _topUpFailed || _hasDeadLinks || _hasUnneeded || _portsArePressed
            || _peerIdleLimit.Limit is not null || FindProbe(settings) is not null)
        {
            return now;
        }

        TimeSpan next = now + LongestSleep;
        if (settings.RetentionPeriod != Timeout.InfiniteTimeSpan)
        {
            if (_portion > 0)
            {
                // This period closes what is not needed, and may come to those that are spared as unused still.
                return now;
            }

            next = _periodEnd < next ? _periodEnd : next;
        }

        foreach (TcpConnection? connection in _table.Items)
        {
            if (connection is null || connection.IsClosed)
            {
                continue;
            }

            if (!connection.IsIdle || !connection.IsWatched || connection.Uses != connection.UsesSeen || FindOutdated(connection) is not null)
            {
                return now;
            }

            TimeSpan lifetimeEnd = LifetimeEnd(connection, settings);
            next = lifetimeEnd < next ? lifetimeEnd : next;

            // Where all are kept past their idle time, nothing ends by it.
            TimeSpan idleEnd = _open > settings.MinIdleConnections ? IdleEnd(connection, settings) : TimeSpan.MaxValue;
            next = idleEnd < next ? idleEnd : next;
        }

        return next;
    }
}
