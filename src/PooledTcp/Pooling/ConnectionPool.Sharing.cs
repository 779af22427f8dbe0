using System.Globalization;
using PooledTcp.Connections;
using PooledTcp.Shutdown;

namespace PooledTcp.Pooling;

/// <summary>The pool's side of MaxTotalConnections: grants it is told of, and connections that give way to other pools.</summary>
internal sealed partial class ConnectionPool
{
    private readonly SharedCap _cap;
    private readonly CapShare _share;

    /// <summary>The most connections this pool could have.</summary>
    private int Reach => Math.Min(_settings.MaxConnections, _cap.Places.Max);

    /// <summary>
    /// A place was granted, or is free and nobody waits for it. The waiter it was meant for may be gone by now: then it is
    /// given back, in the same step, or it would be lost to everybody.
    /// </summary>
    public void UseGrants()
    {
        Dial? dials;
        lock (_gate)
        {
            _cap.HearGrants(_share);
            dials = PlanDials();
            _cap.GiveBackGrants(_share);
        }

        Launch(dials);
        if (_settings.MinIdleConnections > 0)
        {
            Services.Maintenance.Request(this);
        }
    }

    public void ListIdle(List<IdleCandidate> idle)
    {
        lock (_gate)
        {
            foreach (TcpConnection? connection in _table.Items)
            {
                if (connection is { IsIdle: true })
                {
                    idle.Add(new IdleCandidate(this, connection, connection.IdleSince));
                }
            }
        }
    }

    /// <summary>
    /// Closes an idle connection for another pool's waiter, or for a retry of this pool's. False when none is needed, or it is
    /// not to be had.
    /// </summary>
    public bool TryGiveWay(TcpConnection connection, bool isTurnOver)
    {
        CloseRun run;
        lock (_gate)
        {
            // While somebody here waits who takes a used one, it is on its way to that caller.
            bool isWanted = (_warm.Detour & Detour.Waiters) != Detour.None;
            if (!_cap.TryEvict(_share, isTurnOver && !isWanted, CanCloseAtOnce(connection)))
            {
                return false;
            }

            if (!connection.TryEvict())
            {
                // Lost to a rent.
                _cap.TakeBackPromise(_share);
                return false;
            }

            run = TakeOut(connection, CloseReason.SharedCap);
        }

        Services.Schedule(run);
        return true;
    }

    /// <summary>Under the gate: a connection that was returned makes room for another pool's waiter, or for a retry of this pool's.</summary>
    /// <param name="connection">Nobody's at the moment.</param>
    /// <param name="now">Read before the gate, if the cap was tight by then.</param>
    private bool YieldsToOthers(TcpConnection connection, TimeSpan? now) =>
        now is { } read && _cap.TryYield(_share, read - connection.JoinedAt >= SharedCap.Turn, CanCloseAtOnce(connection), _waiters.HasRetryWithoutDial);

    /// <summary>
    /// The second half of a publication: pools may have begun to queue after this one looked, and then nobody has seen the
    /// connection.
    /// </summary>
    private void NoteIdle()
    {
        if (_cap.IsTight)
        {
            _cap.NoteIdle();
        }
    }

    /// <summary>
    /// With the client to close first and no token to be had, its place would not come free for up to a minute: nobody would
    /// win by its closing.
    /// </summary>
    private bool CanCloseAtOnce(TcpConnection connection) =>
        _settings.Shutdown.ClosesFirst != ClosesFirst.Client || TokensFor(connection.Transport.PortAccount).IsAvailable;

    /// <summary>Under the gate: takes the pool out of the queue for places when nobody in it could use one.</summary>
    private void LeaveCapIfServed()
    {
        if (_share.IsQueued && (_paused || _state is PoolState.Closed or PoolState.Retired || _waiters.Dialed == _waiters.Count || !CanDial()))
        {
            _cap.Withdraw(_share);
        }
    }

    /// <summary>True when the limit over all keys is what a waiter lacks: this pool's own would let it dial.</summary>
    private bool IsCapReached()
    {
        (int used, int max, _) = _cap.Places;
        return used >= max && Live < _settings.MaxConnections && _connecting == 0;
    }

    private string CapNumbers()
    {
        (int used, int max, int queued) = _cap.Places;
        return max == int.MaxValue
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $", over all keys {used} of MaxTotalConnections {max}, {queued} keys waiting");
    }
}
