using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Health;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// Reaching the server: which addresses a dial tries, what becomes of connections whose address is gone, and who fails at
/// once while the breaker is open.
/// </summary>
internal sealed partial class ConnectionPool
{
    // Under the gate only; replaced together when the address changes. A dial keeps the ones it began with.
    private EndpointRoutes _routes;
    private NameCache? _names;
    private bool _refusedSinceSweep;
    private ITimer? _breakerTimer;

    /// <summary>
    /// The targets of a dial that is about to connect. The first dial to a name waits here for its addresses; later ones use
    /// what is known, and wait a moment for newer ones only if that is old.
    /// </summary>
    public async ValueTask<DialRace> FindTargetsAsync(Dial dial, CancellationToken cancellationToken)
    {
        if (dial.Names is not { } names)
        {
            return dial.Plan.Race;
        }

        bool waited = true;
        if (dial.Plan.NeedsLookup)
        {
            await names.ResolveAsync(cancellationToken).ConfigureAwait(false);
        }
        else
        {
            waited = await names.FreshenAsync(_settings.DnsRefreshInterval, Services.Clock.Read(), cancellationToken).ConfigureAwait(false);
        }

        if (waited)
        {
            lock (_gate)
            {
                // The name has proved itself; from here on its addresses answer for themselves. Those known before may be gone.
                EndpointRoutes.Release(dial.Plan);
                dial.Plan = dial.Routes.Begin();
            }
        }

        return dial.Plan.Race;
    }

    /// <summary>Under the gate, or in the constructor: nothing is known of the address yet.</summary>
    [MemberNotNull(nameof(_routes))]
    private void ResetRoutes(PoolSettings settings)
    {
        string? host = Hooks.Connect is null && settings.Address.ToEndPoint() is DnsEndPoint name ? name.Host : null;
        EndpointRoutes routes = new(settings.Address, isResolvable: host is not null, Services.NextRandom);
        _routes = routes;
        _names = host is null ? null : new NameCache(
            host, Services.Resolve, Services.Clock, addresses => OnResolved(routes, addresses), e => PoolLog.LookupFailed(Log, e, Name, host));
    }

    private void OnResolved(EndpointRoutes routes, IReadOnlyList<IPAddress> addresses)
    {
        bool wasKnown;
        bool changed;
        int added;
        int removed;
        Dial? dials;
        lock (_gate)
        {
            wasKnown = routes.IsResolved;
            changed = routes.Update(addresses, out added, out removed);

            // A return publishes its connection and then looks whether its address is gone; this is the other half.
            Interlocked.MemoryBarrier();
            dials = PlanDials();
        }

        if (removed > 0)
        {
            CloseDeparted();
        }

        Launch(dials);

        // An address that comes back brings its breaker along.
        ArmBreakerTimer(Services.Clock.Read());
        if (wasKnown && changed)
        {
            PoolLog.AddressesChanged(Log, Name, addresses.Count, added, removed);
        }
    }

    /// <summary>Idle connections to addresses that are gone close now; leased ones when they come back.</summary>
    private void CloseDeparted()
    {
        List<TcpConnection> evicted = [];
        lock (_gate)
        {
            foreach (TcpConnection? connection in _table.Items)
            {
                if (connection is { Target.IsRemoved: true })
                {
                    connection.Mark(Marks.Outdated);
                    if (connection.TryEvict())
                    {
                        evicted.Add(connection);
                    }
                }
            }
        }

        foreach (TcpConnection connection in evicted)
        {
            Remove(connection, CloseReason.AddressRemoved);
        }
    }

    /// <summary>Why a connection belongs to the past, whatever its health: its generation has ended, or its address is gone.</summary>
    private CloseReason? FindOutdated(TcpConnection connection) =>
        connection.Generation != _generation ? _generationReason
        : connection.Target is { IsRemoved: true } ? CloseReason.AddressRemoved
        : null;

    /// <summary>Maintenance: pauses that are over, names that are due. Returns when the next name is.</summary>
    private TimeSpan TendRoutes(TimeSpan now)
    {
        NameCache? names;
        lock (_gate)
        {
            _routes.Advance(now);
            names = _names;
        }

        return names?.RefreshIfDue(_settings.DnsRefreshInterval, now) ?? TimeSpan.MaxValue;
    }

    /// <summary>
    /// Under the gate: true when a rent that found nothing idle would wait for a dial that is not to be made. One that can
    /// hope for a returned connection waits for that: when the pool is at its limit, and when connections still come back.
    /// </summary>
    private bool IsUnreachable() =>
        !_paused && !_routes.LetsThrough && _orphans.Count == 0 && Live < _settings.MaxConnections && !StillReturns();

    /// <summary>
    /// Under the gate: since the last failed dial a connection came back in good order, so the server serves who is
    /// connected (it may be at its limit of connections). Idle since is stamped at each return; no clock is read.
    /// </summary>
    private bool StillReturns()
    {
        foreach (TcpConnection? connection in _table.Items)
        {
            if (connection is { IsClosed: false, Uses: > 0 } && connection.IdleSince >= _lastConnectErrorAt)
            {
                return true;
            }
        }

        return false;
    }

    private EndpointUnavailableException StrandedError(TimeSpan now)
    {
        lock (_gate)
        {
            return BreakerError(now);
        }
    }

    /// <summary>
    /// Under the gate, when a dial has failed: nothing is open or being dialed, and the breaker lets nothing through. Whoever
    /// waits would wait for nothing; one dial each would be the queue of serial timeouts.
    /// </summary>
    private List<Waiter>? TakeStranded(TimeSpan now) =>
        _waiters.Count > 0 && !_paused && _open == 0 && _connecting == 0 && !_routes.LetsThrough ? DequeueAll(now) : null;

    /// <summary>Under the gate: the dial's verdict on its addresses. Whether the breaker opened or closed with it, for the log.</summary>
    private BreakerChange Judge(Dial dial, Exception? error, TimeSpan now)
    {
        BreakerState before = dial.Routes.State;
        EndpointRoutes.End(dial.Plan, error, now, _settings.Health);
        BreakerState after = dial.Routes.State;
        return before == after || !ReferenceEquals(dial.Routes, _routes) ? BreakerChange.None
            : after == BreakerState.Open ? (before == BreakerState.Closed ? BreakerChange.Opened : BreakerChange.None)
            : after == BreakerState.Closed ? BreakerChange.Closed
            : BreakerChange.None;
    }

    private void Tell(BreakerChange change)
    {
        if (change == BreakerChange.Opened)
        {
            PoolLog.BreakerOpened(Log, Name, _settings.Health.FailuresToOpen);
        }
        else if (change == BreakerChange.Closed)
        {
            PoolLog.BreakerClosed(Log, Name);
        }
    }

    /// <summary>
    /// After a failed dial: the name may have moved (unless the pool itself gave the dial up), and somebody has to be woken
    /// when the breaker's pause is over.
    /// </summary>
    private void AwaitServer(TimeSpan now, bool mayHaveMoved)
    {
        NameCache? names;
        lock (_gate)
        {
            names = _names;
        }

        if (mayHaveMoved)
        {
            names?.RefreshSoon(now);
        }

        ArmBreakerTimer(now);
    }

    /// <summary>
    /// While the breaker is open, waiters and MinIdleConnections depend on it. Outside the gate, as a fake clock runs what is
    /// due on the stack of who makes a timer.
    /// </summary>
    private void ArmBreakerTimer(TimeSpan now)
    {
        TimeSpan? armed = null;
        while (true)
        {
            TimeSpan retryAt;
            Dial? dials;
            lock (_gate)
            {
                // The pause may be over by now, and whoever saw that (a snapshot, maintenance) did not look who waits.
                dials = PlanDials();
                retryAt = _state is PoolState.Closed or PoolState.Retired || _routes.LetsThrough ? TimeSpan.MaxValue : _routes.RetryAt;
            }

            Launch(dials);
            if (retryAt == armed)
            {
                return;
            }

            // None when the pool has ended, when dials go through, or when every address is being probed: the end of a probe
            // comes by here. Timers count whole milliseconds: round up, so that the callback finds the pause over.
            ITimer? timer = retryAt == TimeSpan.MaxValue ? null : Services.Clock.CreateTimer(
                static pool => ((ConnectionPool)pool!).Probe(),
                this,
                TimeSpan.FromMilliseconds(Math.Clamp(Math.Ceiling((retryAt - now).TotalMilliseconds), 0, int.MaxValue)));
            Interlocked.Exchange(ref _breakerTimer, timer)?.Dispose();

            // Somebody else may have armed it between, on newer news than ours, or the pool may have ended: look again.
            armed = retryAt;
        }
    }

    private void Probe()
    {
        TimeSpan now = Services.Clock.Read();
        Dial? dials;
        lock (_gate)
        {
            _routes.Advance(now);
            dials = PlanDials();
        }

        Launch(dials);
        CloseForRetry();

        // Another address may be due while this one's probe runs.
        ArmBreakerTimer(now);

        // MinIdleConnections, if nobody else wants the probe.
        _topUpFailed = false;
        Services.Maintenance.Request(this);
    }

    /// <summary>Under the gate.</summary>
    private EndpointUnavailableException BreakerError(TimeSpan now)
    {
        _refusedSinceSweep = true;
        TimeSpan wait = _routes.RetryAt == TimeSpan.MaxValue ? TimeSpan.Zero : _routes.RetryAt - now;
        string next = wait > TimeSpan.Zero
            ? string.Create(CultureInfo.InvariantCulture, $"the next one comes in {wait.TotalSeconds:0.0} s")
            : "one is finding out just now whether it is back";
        string last = _lastConnectErrorText ?? "unknown";
        return new EndpointUnavailableException(
            string.Create(
                CultureInfo.InvariantCulture,
                $"Pool '{Name}' does not dial {_settings.Address} now: its breaker is open after {_routes.Failures} failed dials in a row, and {next} "
                + $"(Health.FailuresToOpen {_settings.Health.FailuresToOpen}, Health.MaxBackoff {_settings.Health.MaxBackoff.TotalSeconds:0.###} s). "
                + $"The last error, {(now - _lastConnectErrorAt).TotalSeconds:0.0} s ago: {last} {Numbers(last)}"),
            Name,
            _lastConnectError ?? _portsExhausted);
    }

    /// <summary>Under the gate: one line for each address, for the snapshot.</summary>
    private TcpAddressSnapshot[] DescribeAddresses() =>
    [
        .. _routes.Listed.Select(static route => new TcpAddressSnapshot
        {
            EndPoint = route.Target.EndPoint,
            Connections = route.Target.Connections,
            BreakerState = route.Breaker.State,
            ConsecutiveFailures = route.Breaker.Failures,
        }),
    ];

    private enum BreakerChange
    {
        None,
        Opened,
        Closed,
    }
}
