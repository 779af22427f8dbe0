using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using PooledTcp.Configuration;

namespace PooledTcp.Telemetry;

/// <summary>
/// The instruments of one meter. States and limits are observable, so a listener that comes late sees the truth (a counter
/// that goes up and down would begin at what it was when the listener came).
/// </summary>
internal sealed class PoolInstruments
{
    public const string MeterName = "PooledTcp";

    /// <summary>
    /// So many addresses that are not configured are told apart, the first ones, over all clients: their series never end. Each
    /// has several of each instrument (most of all of <c>pooled_tcp.connection.closed</c>), and the SDK stops at 2,000.
    /// </summary>
    public const int MaxAdHocAddresses = 50;

    private const string Connections = "{connection}";
    private const string Ports = "{port}";

    private static readonly ConditionalWeakTable<Meter, PoolInstruments> ByMeter = [];
    private static readonly Lazy<PoolInstruments> ForTheProcess = new(static () => new PoolInstruments(new Meter(MeterName, Version)));

    private static readonly double[] Waits = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
    private static readonly double[] Uses = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];
    private static readonly double[] Lives = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

    private readonly GaugeReader _gauges = new();
    private readonly HashSet<EndpointAddress> _adHoc = [];

    private PoolInstruments(Meter meter)
    {
        Timeouts = meter.CreateCounter<long>(
            "pooled_tcp.connection.timeouts", "{timeout}", "Rents that ended at their deadline.");
        WaitTime = Histogram(
            meter, "pooled_tcp.connection.wait_time", "The time it took to obtain a connection; 0 where an idle one was there.", Waits);
        CreateTime = Histogram(
            meter, "pooled_tcp.connection.create_time", "The time it took to open a connection: name, connect, TLS and handshake.", Waits);
        UseTime = Histogram(
            meter, "pooled_tcp.connection.use_time", "The time between the rent of a connection and its return.", Uses);
        Duration = Histogram(
            meter, "pooled_tcp.connection.duration", "The time a connection was open.", Lives);
        Closed = meter.CreateCounter<long>(
            "pooled_tcp.connection.closed", Connections, "Connections closed, by reason, by who closed first, and by method.");
        HealthCheckDuration = Histogram(
            meter, "pooled_tcp.connection.health_check.duration", "The time a probe or a reset took.", Waits);
        PortsExhausted = meter.CreateCounter<long>(
            "pooled_tcp.port.exhausted", "{error}", "Dials that found no free local port.");

        Gauge("pooled_tcp.connection.count", Connections, "Connections by state.", _gauges.ReadStates);
        Gauge("pooled_tcp.connection.max", Connections, "The most connections there may be.", () => _gauges.Read(static r => r.Max));
        Gauge("pooled_tcp.connection.idle.max", Connections, "The most idle connections there may be: all of them.", () => _gauges.Read(static r => r.Max));
        Gauge("pooled_tcp.connection.idle.min", Connections, "Idle connections that are kept open.", () => _gauges.Read(static r => r.MinIdle));
        Gauge("pooled_tcp.connection.pending_requests", "{request}", "Callers waiting for a connection.", () => _gauges.Read(static r => r.Waiting));
        Gauge("pooled_tcp.port.budget", Ports, "Local ports that may be reckoned with towards the pool's addresses.", _gauges.ReadPortBudgets);
        Gauge("pooled_tcp.port.used", Ports, "Local ports this process holds towards them, TIME-WAITs included.", () => _gauges.ReadPortsUsed(static use => use.Ports));
        Gauge("pooled_tcp.port.time_wait", Ports, "Those held by TIME-WAITs of ours.", () => _gauges.ReadPortsUsed(static use => use.Owed));
        meter.CreateObservableGauge(
            "pooled_tcp.port.pressure", _gauges.ReadPortPressure, "1", "The share of its ports that the fullest of the pool's addresses has taken.");
        Gauge("pooled_tcp.socket.count", Connections, "This host's sockets towards the addresses in use, by TCP state, as the kernel counts them.", _gauges.ReadSockets);

        void Gauge(string name, string unit, string description, Func<IEnumerable<Measurement<long>>> read) =>
            meter.CreateObservableUpDownCounter(name, read, unit, description);
    }

    public static string Version { get; } = typeof(PoolInstruments).Assembly.GetName().Version?.ToString(3) ?? "";

    public Counter<long> Timeouts { get; }

    public Histogram<double> WaitTime { get; }

    public Histogram<double> CreateTime { get; }

    public Histogram<double> UseTime { get; }

    public Histogram<double> Duration { get; }

    public Counter<long> Closed { get; }

    public Histogram<double> HealthCheckDuration { get; }

    public Counter<long> PortsExhausted { get; }

    /// <summary>
    /// One set of instruments per meter, however many clients share it: two instruments of one name would overwrite each
    /// other's figures at the exporter.
    /// </summary>
    /// <param name="factory">Makes and disposes the meter; without one there is one for the process, which lives as long as it.</param>
    public static PoolInstruments For(IMeterFactory? factory) => factory is null
        ? ForTheProcess.Value
        : ByMeter.GetValue(factory.Create(new MeterOptions(MeterName) { Version = Version }), static meter => new PoolInstruments(meter));

    public void Observe(ClientTelemetry client) => _gauges.Add(client);

    /// <summary>Whether metrics may carry this address, which is not configured.</summary>
    public bool TellsApart(EndpointAddress address)
    {
        lock (_adHoc)
        {
            return _adHoc.Contains(address) || (_adHoc.Count < MaxAdHocAddresses && _adHoc.Add(address));
        }
    }

    private static Histogram<double> Histogram(Meter meter, string name, string description, double[] buckets) => meter.CreateHistogram(
        name, "s", description, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = buckets });
}
