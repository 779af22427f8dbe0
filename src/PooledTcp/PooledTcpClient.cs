using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Health;
using PooledTcp.Pooling;
using PooledTcp.Ports;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;

namespace PooledTcp;

/// <summary>
/// The front door: keeps one pool of connections per endpoint and lends from it. Thread-safe; make one per process, or let
/// <c>services.AddPooledTcp(...)</c> do so.
/// </summary>
/// <remarks>
/// Endpoints are configured by name; any other address can be used ad hoc under the default settings, and its pool goes
/// away when it is unused. Two keys (names, or addresses with their partition) never share a connection.
/// </remarks>
public sealed class PooledTcpClient : IAsyncDisposable, IDisposable
{
    private readonly ConcurrentDictionary<AdHocKey, AdHocEntry> _adHoc = new();
    private readonly ConcurrentDictionary<ConnectionPool, AdHocKey> _adHocKeys = new();
    private readonly FormerPools _former;
    private readonly IReadOnlyDictionary<string, EndpointHooks> _hooks;
    private readonly Func<string, EndpointHooks, IConnector> _connectors;
    private readonly PoolServices _services;
    private readonly PoolHandles _handles;
    private readonly Lock _gate = new();
    private volatile ClientSettings _settings;

    private volatile PoolNames _named = PoolNames.None;
    private volatile Phase _phase;

    /// <summary>Makes a client from options in code.</summary>
    /// <param name="options">Copied now; later changes to the object have no effect.</param>
    /// <param name="loggerFactory">Where events go; none when null.</param>
    /// <param name="meterFactory">Who makes the meter <c>PooledTcp</c>; when null, one for the whole process.</param>
    /// <param name="timeProvider">The clock of every timeout; the system's when null.</param>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">Some settings are invalid; the message names every one.</exception>
    public PooledTcpClient(PooledTcpOptions options, ILoggerFactory? loggerFactory = null, IMeterFactory? meterFactory = null, TimeProvider? timeProvider = null)
        : this(SettingsFactory.Create(options), FrozenDictionary<string, EndpointHooks>.Empty, loggerFactory, meterFactory, timeProvider)
    {
    }

    internal PooledTcpClient(
        ClientSettings settings,
        IReadOnlyDictionary<string, EndpointHooks> hooks,
        ILoggerFactory? loggerFactory,
        IMeterFactory? meterFactory,
        TimeProvider? timeProvider,
        Func<string, EndpointHooks, IConnector>? connectors = null,
        Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        _settings = settings;
        _hooks = hooks;
        ILogger logger = new SafeLogger((loggerFactory ?? NullLoggerFactory.Instance).CreateLogger("PooledTcp"));
        PoolClock clock = new(timeProvider ?? TimeProvider.System);
        _former = new FormerPools(clock);
        ThrottledLogger sharedLogger = new(logger, clock.Time);
        LocalPorts ports = new(clock.Time);
        _connectors = connectors ?? ((name, hooks) => new SocketConnector(name, hooks.Connect, ports, clock.Time));
        _services = new PoolServices
        {
            Clock = clock,
            Logger = logger,
            SharedLogger = sharedLogger,
            Ports = ports,
            Resolve = resolve ?? Dns.GetHostAddressesAsync,
            Lane = new ClosingLane(settings.MaxClosing),
            PeerWatch = PortAbilities.Detected.PeerCloseEvents ? new PeerCloseWatch() : NoPeerCloseWatch.Instance,

            Telemetry = new ClientTelemetry(PoolInstruments.For(meterFactory), settings.Telemetry) { Pools = () => [.. AllPools(), .. _former.All] },
            Cap = new SharedCap(settings.MaxTotalConnections, clock),
            Maintenance = new Maintenance(clock, OnRetired, e => PoolLog.MaintenanceFailed(sharedLogger, e)),
        };
        _handles = new PoolHandles(_services);
        AddNamed(settings.Endpoints);
    }

    private enum Phase
    {
        Open,
        Draining,
        Closed,
    }

    /// <summary>Every pool there is: the configured ones, and the ad hoc ones in use.</summary>
    public IReadOnlyCollection<TcpPool> Pools => [.. _named.All.Values, .. _adHoc.Values.Select(static entry => entry.Handle)];

    /// <summary>The limit over all pools that is in force; null when there is none.</summary>
    public int? MaxTotalConnections => _settings.MaxTotalConnections == int.MaxValue ? null : _settings.MaxTotalConnections;

    /// <summary>The pool of a configured endpoint.</summary>
    /// <param name="endpoint">Its name under <c>PooledTcp:Endpoints</c>; case does not matter.</param>
    /// <exception cref="ArgumentException">No endpoint has that name; the message lists those there are.</exception>
    public TcpPool GetPool(string endpoint)
    {
        ArgumentNullException.ThrowIfNull(endpoint);

        if (_named.Find(endpoint) is { } pool)
        {
            return pool;
        }

        _settings.GetEndpoint(endpoint); // throws, unless a reload is adding it just now
        lock (_gate)
        {
            return _named.All[endpoint];
        }
    }

    /// <summary>The pool of an address under the default settings.</summary>
    /// <param name="endPoint">
    /// An <see cref="IPEndPoint"/>, a <see cref="DnsEndPoint"/> or a <see cref="System.Net.Sockets.UnixDomainSocketEndPoint"/>.
    /// Several spellings of one address are one key.
    /// </param>
    /// <param name="partition">Separates connections to one address, say per tenant; part of the key.</param>
    /// <exception cref="ArgumentException">The address cannot be dialed; the message says why.</exception>
    public TcpPool GetPool(EndPoint endPoint, string? partition = null)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        AdHocKey key = new(EndpointAddress.FromEndPoint(endPoint), partition);
        return _adHoc.TryGetValue(key, out AdHocEntry? entry) && !entry.Core.IsRetired ? entry.Handle : GetOrAddAdHoc(key).Handle;
    }

    /// <summary>Rents a connection to a configured endpoint. See <see cref="TcpPool.RentAsync(CancellationToken)"/>.</summary>
    /// <param name="endpoint">Its name under <c>PooledTcp:Endpoints</c>; case does not matter.</param>
    /// <param name="cancellationToken">Leaves the queue.</param>
    public ValueTask<TcpLease> RentAsync(string endpoint, CancellationToken cancellationToken = default) =>
        GetPool(endpoint).RentAsync(cancellationToken);

    /// <summary>Rents a connection to an address under the default settings. See <see cref="TcpPool.RentAsync(CancellationToken)"/>.</summary>
    /// <param name="endPoint">Where to connect.</param>
    /// <param name="cancellationToken">Leaves the queue.</param>
    public ValueTask<TcpLease> RentAsync(EndPoint endPoint, CancellationToken cancellationToken = default) =>
        GetPool(endPoint).RentAsync(cancellationToken);

    /// <summary>
    /// Refuses new rents, closes what is idle, and waits until every lease was returned; then, or at
    /// <paramref name="deadline"/>, closes everything. Who was waiting for a connection already is still served.
    /// </summary>
    /// <param name="deadline">How long to wait: zero or more, up to 24 days, or <see cref="Timeout.InfiniteTimeSpan"/>.</param>
    public ValueTask DrainAsync(TimeSpan deadline) => DrainAsync(deadline, CancellationToken.None);

    /// <summary>Closes everything now: waiters get <see cref="PoolClosedException"/>, leases lose their connections.</summary>
    public void Dispose()
    {
        Close();
        _services.PeerWatch.Dispose();
        _ = _services.Maintenance.DisposeAsync().AsTask();
    }

    /// <inheritdoc cref="Dispose"/>
    public async ValueTask DisposeAsync()
    {
        Close();
        _services.PeerWatch.Dispose();
        await FinishClosingAsync().ConfigureAwait(false);
        await _services.Maintenance.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>The host is stopping, or the client is shutting down by itself: whoever balances traffic should send none here.</summary>
    internal bool IsStopping => _services.IsStopping || _phase != Phase.Open;

    /// <summary>The host begins to stop: rents are served as before, but nothing is dialed in advance.</summary>
    internal void BeginStopping()
    {
        ConnectionPool[] pools;
        _services.IsStopping = true;
        lock (_gate)
        {
            pools = [.. AllPools()];
        }

        Array.ForEach(pools, static pool => pool.EndWarmUps());
    }

    /// <summary>As <see cref="DrainAsync(TimeSpan)"/>; the token ends the wait early, as the deadline does.</summary>
    internal async ValueTask DrainAsync(TimeSpan deadline, CancellationToken cancellationToken)
    {
        if ((deadline < TimeSpan.Zero && deadline != Timeout.InfiniteTimeSpan) || deadline.TotalMilliseconds > int.MaxValue)
        {
            throw new ArgumentOutOfRangeException(
                nameof(deadline), deadline, "A deadline is zero or more, at most 24 days, or Timeout.InfiniteTimeSpan.");
        }

        ConnectionPool[] pools;
        lock (_gate)
        {
            if (_phase == Phase.Open)
            {
                _phase = Phase.Draining;
            }

            pools = [.. AllPools()];
        }

        Task drained = Task.WhenAll(pools.Select(static pool => pool.DrainAsync()));
        try
        {
            await drained.WaitAsync(deadline, _services.Clock.Time, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            // Out of time: what is still on loan is closed under its holders.
        }

        Close();
        await FinishClosingAsync().ConfigureAwait(false);
    }

    /// <summary>New settings from a reload: valid, and with every endpoint there was.</summary>
    internal void Apply(ClientSettings settings)
    {
        List<(ConnectionPool Pool, PoolSettings Settings)> changes = [];
        lock (_gate)
        {
            // First, as it may refuse (TLS without a name, for a unix socket in use): then nothing has changed yet.
            foreach ((AdHocKey key, AdHocEntry entry) in _adHoc)
            {
                changes.Add((entry.Core, settings.ForAdHoc(key.Address)));
            }

            _services.Lane.Resize(settings.MaxClosing - _settings.MaxClosing);
            _services.Cap.Resize(settings.MaxTotalConnections);
            _services.Telemetry.Settings = settings.Telemetry;
            _settings = settings;
            foreach ((string name, TcpPool pool) in _named.All)
            {
                changes.Add((pool.Core, settings.Endpoints[name]));
            }

            KeyValuePair<string, PoolSettings>[] added = [.. settings.Endpoints.Where(endpoint => !_named.All.ContainsKey(endpoint.Key))];
            if (added.Length > 0)
            {
                AddNamed(added);
            }
        }

        // Outside: it closes sockets and cancels dials, which runs callbacks.
        foreach ((ConnectionPool pool, PoolSettings changed) in changes)
        {
            pool.Apply(changed);
        }
    }

    /// <summary>
    /// Waits for the closes under way, so that the process may end without leaving their TIME-WAITs to chance. A client-first
    /// close that waits for its share of ports is not waited for: that can take a minute.
    /// </summary>
    private async ValueTask FinishClosingAsync()
    {
        ConnectionPool[] pools;
        lock (_gate)
        {
            pools = [.. AllPools()];
        }

        TimeSpan limit = TimeSpan.Zero;
        foreach (ConnectionPool pool in pools)
        {
            TimeSpan needed = pool.Settings.Shutdown.GoodbyeTimeout + (2 * pool.Settings.Shutdown.DrainTimeout);
            limit = needed > limit ? needed : limit;
        }

        try
        {
            await Task.WhenAll(pools.Select(static pool => pool.FinishClosingAsync())).WaitAsync(limit, _services.Clock.Time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // What is left waits for its share of ports.
        }
    }

    private void Close()
    {
        ConnectionPool[] pools;
        lock (_gate)
        {
            _phase = Phase.Closed;
            pools = [.. AllPools()];
        }

        foreach (ConnectionPool pool in pools)
        {
            pool.Close();
        }
    }

    private IEnumerable<ConnectionPool> AllPools() =>
        _named.All.Values.Select(static pool => pool.Core).Concat(_adHoc.Values.Select(static entry => entry.Core));

    /// <summary>Under the gate, or in the constructor.</summary>
    private void AddNamed(IEnumerable<KeyValuePair<string, PoolSettings>> endpoints)
    {
        List<KeyValuePair<string, TcpPool>> added = [];
        foreach ((string name, PoolSettings settings) in endpoints)
        {
            TcpPool handle = _handles.Take();
            ConnectionPool pool = NewPool(name, isAdHoc: false, settings, handle.Warm);
            added.Add(new(name, handle));
            if (settings.MinIdleConnections > 0)
            {
                _services.Maintenance.Request(pool);
            }
        }

        _named = _named.With(added);
    }

    private AdHocEntry GetOrAddAdHoc(AdHocKey key)
    {
        lock (_gate)
        {
            if (_adHoc.TryGetValue(key, out AdHocEntry? entry) && !entry.Core.IsRetired)
            {
                return entry;
            }

            TcpPool handle = _handles.Take();
            handle.Successor = () => GetOrAddAdHoc(key).Core;
            ConnectionPool pool = NewPool(key.ToString(), isAdHoc: true, _settings.ForAdHoc(key.Address), handle.Warm);
            entry = new AdHocEntry(pool, handle);
            _adHoc[key] = entry;
            _adHocKeys[pool] = key;

            // Asked for and never used, it must go away all the same.
            _services.Maintenance.Request(pool);
            return entry;
        }
    }

    /// <summary>Under the gate, or in the constructor. A pool made after the end is born closed, so that its rents say so.</summary>
    private ConnectionPool NewPool(string name, bool isAdHoc, PoolSettings settings, WarmPath warm)
    {
        EndpointHooks hooks = isAdHoc
            ? _settings.HooksForAdHoc()
            : _hooks.GetValueOrDefault(name, EndpointHooks.None).Over(_settings.HooksOf(name));
        ConnectionPool pool = new(name, isAdHoc, settings, _connectors(name, hooks), hooks, _services, warm);
        if (_phase == Phase.Draining)
        {
            _ = pool.DrainAsync();
        }
        else if (_phase == Phase.Closed)
        {
            pool.Close();
        }

        return pool;
    }

    private void OnRetired(ConnectionPool pool)
    {
        _former.ForgetSettled();
        if (pool.FindDebts() is { } debts)
        {
            _former.Add(debts);
        }

        // Unless the key has a successor already.
        if (_adHocKeys.TryRemove(pool, out AdHocKey key) && _adHoc.TryGetValue(key, out AdHocEntry? entry) && ReferenceEquals(entry.Core, pool))
        {
            _adHoc.TryRemove(new KeyValuePair<AdHocKey, AdHocEntry>(key, entry));
        }
    }

    /// <summary>A value: looking for a pool by an address or a host name in lower case allocates nothing.</summary>
    private readonly record struct AdHocKey(EndpointAddress Address, string? Partition)
    {
        public override string ToString() => Partition is null ? Address.ToString() : $"{Address}#{Partition}";
    }

    private sealed record AdHocEntry(ConnectionPool Core, TcpPool Handle);
}
