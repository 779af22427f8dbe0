using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Shutdown;

namespace PooledTcp.Pooling;

/// <summary>The changes of state that concern the pool as a whole, most of which make many connections leave.</summary>
internal sealed partial class ConnectionPool
{
    /// <summary>True for an ad hoc pool that has taken itself out of use.</summary>
    public bool IsRetired
    {
        get
        {
            // Asked by every rent that found nothing warm at a handle, so not under the gate unless it may be true.
            if ((_warm.Detour & Detour.Refusing) == Detour.None)
            {
                return false;
            }

            lock (_gate)
            {
                return _state == PoolState.Retired;
            }
        }
    }

    /// <summary>
    /// Ends the generation: idle connections close now, leased ones at their return (or now, if interrupted), running dials
    /// are given up and started afresh for whoever waits.
    /// </summary>
    public void Clear(CloseReason reason, bool interruptLeases)
    {
        Dial[] dials;
        lock (_gate)
        {
            EndGeneration(reason);
            _peerIdleLimit.Forget();
            dials = [.. _dials];
        }

        foreach (Dial dial in dials)
        {
            dial.Cancel();
        }

        CloseOutdated(reason, interruptLeases);
        Launch(Plan());
    }

    /// <summary>Rents wait (and may time out) until <see cref="TryResume"/>; leases go on. False when the pool is retired.</summary>
    public bool TryPause()
    {
        lock (_gate)
        {
            if (_state == PoolState.Retired)
            {
                return false;
            }

            _paused = _state == PoolState.Open;
            LeaveCapIfServed();
            RefreshDetour();
            return true;
        }
    }

    public bool TryResume()
    {
        lock (_gate)
        {
            if (_state == PoolState.Retired)
            {
                return false;
            }

            _paused = false;
            RefreshDetour();
        }

        ServeFromIdle();
        Launch(Plan());
        Services.Maintenance.Request(this);
        return true;
    }

    /// <summary>
    /// New settings. Limits hold from now on; a changed address, socket or TLS setting starts a new generation.
    /// </summary>
    public void Apply(PoolSettings settings)
    {
        bool shared;
        bool isLowered;
        NameCache? replaced = null;
        List<WarmUp>? tooLarge;
        int reach;
        TimeSpan now = Services.Clock.Read();
        lock (_gate)
        {
            shared = settings.SharesConnectionsWith(_settings);
            if (settings.Address != _settings.Address)
            {
                replaced = _names;
                ResetRoutes(settings);
            }

            isLowered = settings.MaxConnections < _settings.MaxConnections;
            _settings = settings;
            Idle.Resize(settings.MaxConnections);
            _routes.Shorten(now, settings.Health.MaxBackoff);
            if (!LeavesCloseToPeer(settings))
            {
                _peerIdleLimit.Forget();
            }

            reach = Reach;
            tooLarge = TakeWarmUps(above: reach);
            MarkAll();
            RefreshDetour();
        }

        _telemetry.Rename(settings.Address);
        replaced?.End();
        tooLarge?.ForEach(w => w.Done.TrySetException(new InvalidOperationException(
            $"{(reach == settings.MaxConnections ? $"MaxConnections of pool '{Name}'" : "MaxTotalConnections")} was lowered to {reach}, below the {w.Count} connections to warm up.")));

        if (!shared)
        {
            Clear(CloseReason.OptionsChanged, interruptLeases: false);
        }

        // A lowered limit closes idle ones now, a raised one dials for waiters; the sweep sets its pace and marks anew.
        _sweepNow = true;
        ServeFromIdle();
        Launch(Plan());
        if (isLowered)
        {
            CloseForRetry();
        }

        ArmBreakerTimer(now);
        Services.Maintenance.Request(this);
    }

    /// <summary>After the services' flag was set, which newcomers read under the gate: ends the warm-ups that came before it.</summary>
    public void EndWarmUps()
    {
        List<WarmUp>? warm;
        lock (_gate)
        {
            warm = TakeWarmUps();
        }

        warm?.ForEach(w => w.Done.TrySetException(ClosedError()));
    }

    /// <summary>
    /// Refuses new rents, closes what is idle, and completes when the last connection is gone. Who waits already is still
    /// served: that work was accepted.
    /// </summary>
    public Task DrainAsync()
    {
        Dial[] unwanted = [];
        Dial? dials = null;
        List<WarmUp>? warm = null;
        Task drained;
        lock (_gate)
        {
            _drained ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            drained = _drained.Task;
            if (_state == PoolState.Open)
            {
                _state = PoolState.Draining;
                _paused = false;
                unwanted = [.. _orphans];
                _orphans.Clear();
                HurryClosings();

                // Nobody needs warm connections any more, and the planner would go on dialing for them: each one would
                // close at once as surplus, and the drain would never end.
                warm = TakeWarmUps();
                RefreshDetour();
                dials = PlanDials();
            }

            CompleteDrainIfEmpty();
        }

        warm?.ForEach(w => w.Done.TrySetException(ClosedError()));
        foreach (Dial dial in unwanted)
        {
            dial.Cancel();
        }

        Launch(dials);
        ServeFromIdle();
        return drained;
    }

    /// <summary>Closes everything: waiters fail, dials are given up, idle connections close, leases lose their sockets.</summary>
    public void Close()
    {
        List<Waiter> waiters;
        List<WarmUp>? warm;
        Dial[] dials;
        NameCache? names;
        TimeSpan now = Services.Clock.Read();
        lock (_gate)
        {
            if (_state is PoolState.Closed or PoolState.Retired)
            {
                return;
            }

            _state = PoolState.Closed;
            names = _names;
            _paused = false;
            EndGeneration(CloseReason.PoolShutdown);
            waiters = DequeueAll(now);
            warm = TakeWarmUps();
            dials = [.. _dials];
            _cap.Withdraw(_share);
            RefreshDetour();
            HurryClosings();
            _deadlineTimer?.Dispose();
            CompleteDrainIfEmpty();
        }

        // After the state, which whoever arms one reads again afterwards: none is left behind.
        Interlocked.Exchange(ref _portsTimer, null)?.Dispose();
        Interlocked.Exchange(ref _breakerTimer, null)?.Dispose();
        names?.End();
        foreach (Waiter waiter in waiters)
        {
            waiter.Fail(ClosedError());
        }

        warm?.ForEach(w => w.Done.TrySetException(ClosedError()));
        foreach (Dial dial in dials)
        {
            dial.Cancel();
        }

        CloseOutdated(CloseReason.PoolShutdown, interruptLeases: true);
        HookCancellation.Queue(_closed);
    }

    /// <summary>Takes an ad hoc pool out of use if it is empty. From then on it lends nothing; its handles ask for another.</summary>
    private bool TryRetire()
    {
        lock (_gate)
        {
            if (_state != PoolState.Open || _paused || _waiters.Count > 0 || Live > 0 || _warmUps.Count > 0)
            {
                return false;
            }

            _state = PoolState.Retired;
            _cap.Withdraw(_share);
            RefreshDetour();
            _deadlineTimer?.Dispose();
            Interlocked.Exchange(ref _breakerTimer, null)?.Dispose();
            _names?.End();
            return true;
        }
    }

    /// <summary>Under the gate: no connection that was opened so far is lent any more.</summary>
    private void EndGeneration(CloseReason reason)
    {
        _generationReason = reason;
        _generation++;
        foreach (TcpConnection? connection in _table.Items)
        {
            connection?.Mark(Marks.Outdated);
        }
    }

    private void CloseOutdated(CloseReason reason, bool interruptLeases)
    {
        List<TcpConnection> evicted = [];
        List<TcpConnection> leased = [];
        lock (_gate)
        {
            foreach (TcpConnection? connection in _table.Items)
            {
                if (connection is null || connection.Generation == _generation)
                {
                    continue;
                }

                if (connection.TryEvict())
                {
                    evicted.Add(connection);
                }
                else if (interruptLeases && !connection.IsClosed)
                {
                    // Leased, or in the hands of a rent that has not looked at the generation yet: it fails its check. No sweep may
                    // come any more to let a lost lease be found.
                    connection.LetGoOfHandle();
                    leased.Add(connection);
                }
            }
        }

        foreach (TcpConnection connection in leased)
        {
            connection.Interrupt(reason);
        }

        foreach (TcpConnection connection in evicted)
        {
            Remove(connection, reason);
        }
    }
}
