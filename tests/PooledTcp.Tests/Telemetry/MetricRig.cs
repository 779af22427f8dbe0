using System.Diagnostics.Metrics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;

namespace PooledTcp.Tests.Telemetry;

/// <summary>
/// A client on fake connections and fake time whose meter is collected: what every instrument was told, in order, as
/// <c>value attribute=value ...</c> with the attributes sorted by name.
/// </summary>
internal sealed class MetricRig : IAsyncDisposable
{
    /// <summary>The attributes of the pool that every rig has.</summary>
    public const string Pool = "pooled_tcp.pool.name=cache server.address=10.0.0.1 server.port=7000";

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly Dictionary<string, Collector> _collectors = new(StringComparer.Ordinal);

    public MetricRig(
        Action<TcpEndpointOptions>? endpoint = null,
        EndpointHooks? hooks = null,
        Action<PooledTcpOptions>? configure = null,
        bool automatic = true,
        bool listens = true)
    {
        Connector.Automatic = automatic ? static _ => new FakeTransport() : null;
        Client = NewClient(endpoint, hooks, configure);
        if (listens)
        {
            Listen();
        }
    }

    public FakeTime Time { get; } = new();

    public FakeConnector Connector { get; } = new();

    public IMeterFactory Meters => _services.GetRequiredService<IMeterFactory>();

    public PooledTcpClient Client { get; }

    public TcpPool Cache => Client.GetPool("cache");

    public TcpPoolSnapshot Now => Cache.GetSnapshot();

    /// <summary>Another client of the same application: same meter factory, same clock, same fake network.</summary>
    public PooledTcpClient NewClient(Action<TcpEndpointOptions>? endpoint = null, EndpointHooks? hooks = null, Action<PooledTcpOptions>? configure = null) =>
        new(
            Settings(endpoint, configure),
            new Dictionary<string, EndpointHooks> { ["cache"] = hooks ?? EndpointHooks.None },
            loggerFactory: null,
            Meters,
            Time,
            (_, _) => Connector);

    public static ClientSettings Settings(Action<TcpEndpointOptions>? endpoint = null, Action<PooledTcpOptions>? configure = null)
    {
        PooledTcpOptions options = new();
        options.Defaults.DnsRefreshInterval = Timeout.InfiniteTimeSpan;
        options.AddEndpoint("cache", cache =>
        {
            cache.Address = "10.0.0.1:7000";
            cache.LifetimeJitter = 0;
            endpoint?.Invoke(cache);
        });
        configure?.Invoke(options);
        return SettingsFactory.Create(options);
    }

    /// <summary>From here on everything is collected.</summary>
    public void Listen()
    {
        foreach (string name in Instruments.Names)
        {
            _collectors.Add(name, new Collector(Meters, name));
        }
    }

    /// <summary>What the instrument was told so far; an observable one is asked now.</summary>
    public IReadOnlyList<string> Read(string instrument) => _collectors[instrument].Read();

    /// <summary>What an observable instrument says now of the pool that every rig has.</summary>
    public string States()
    {
        string[] states = [.. Read("pooled_tcp.connection.count").Where(static one => one.EndsWith(Pool, StringComparison.Ordinal))];
        return string.Join(", ", states.Select(static one =>
        {
            string[] parts = one.Split(' ');
            return $"{parts[1].Replace("pooled_tcp.connection.state=", "", StringComparison.Ordinal)} {parts[0]}";
        }));
    }

    public Task<TcpLease> RentAsync(TcpPool? pool = null, CancellationToken cancellationToken = default) =>
        (pool ?? Cache).RentAsync(cancellationToken).AsTask().WaitAsync(PoolHarness.Hang, CancellationToken.None);

    /// <summary>Opens so many and puts them into idle.</summary>
    public async Task FillAsync(int count, TcpPool? pool = null)
    {
        TcpLease[] leases = new TcpLease[count];
        for (int i = 0; i < count; i++)
        {
            leases[i] = await RentAsync(pool);
        }

        Array.ForEach(leases, PoolHarness.Return);
    }

    /// <summary>Waits for what other threads are about to record.</summary>
    public async Task<IReadOnlyList<string>> ReadAsync(string instrument, int count)
    {
        await PoolHarness.UntilAsync(() => Read(instrument).Count >= count, () => $"{instrument}: {string.Join("; ", Read(instrument))}");
        return Read(instrument);
    }

    public Task UntilAsync(Func<bool> condition) =>
        PoolHarness.UntilAsync(condition, () => $"{Now}; {States()}; live {Connector.Live}");

    /// <summary>Lets fake time pass until it is so.</summary>
    public Task StepUntilAsync(Func<bool> condition) => UntilAsync(() =>
    {
        if (condition())
        {
            return true;
        }

        Time.Advance(TimeSpan.FromSeconds(1));
        return false;
    });

    public static string Describe(IReadOnlyDictionary<string, object?> tags) =>
        string.Join(' ', tags.OrderBy(static tag => tag.Key, StringComparer.Ordinal).Select(static tag =>
            $"{tag.Key}={(tag.Value is bool yes ? yes ? "true" : "false" : Convert.ToString(tag.Value, CultureInfo.InvariantCulture))}"));

    public async ValueTask DisposeAsync()
    {
        foreach (Collector collector in _collectors.Values)
        {
            collector.Dispose();
        }

        await Client.DisposeAsync();
        await _services.DisposeAsync();
    }

    /// <summary>One instrument, whatever its type of number.</summary>
    private sealed class Collector(IMeterFactory meters, string name) : IDisposable
    {
        private readonly MetricCollector<long> _whole = new(meters, "PooledTcp", name);
        private readonly MetricCollector<double> _seconds = new(meters, "PooledTcp", name);

        public IReadOnlyList<string> Read()
        {
            if (_whole.Instrument is { IsObservable: true })
            {
                _whole.Clear();
                _whole.RecordObservableInstruments();
            }

            if (_seconds.Instrument is { IsObservable: true })
            {
                _seconds.Clear();
                _seconds.RecordObservableInstruments();
            }

            return
            [
                .. _whole.GetMeasurementSnapshot().Select(static one => string.Create(CultureInfo.InvariantCulture, $"{one.Value} {Describe(one.Tags)}")),
                .. _seconds.GetMeasurementSnapshot().Select(static one => string.Create(CultureInfo.InvariantCulture, $"{one.Value} {Describe(one.Tags)}")),
            ];
        }

        public void Dispose()
        {
            _whole.Dispose();
            _seconds.Dispose();
        }
    }
}
