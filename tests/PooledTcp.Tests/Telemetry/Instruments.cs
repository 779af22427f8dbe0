using System.Diagnostics.Metrics;

namespace PooledTcp.Tests.Telemetry;

/// <summary>Every instrument of the meter, as documented: the tests' own copy of the table.</summary>
internal static class Instruments
{
    private static readonly double[] Waiting = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
    private static readonly double[] Using = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];
    private static readonly double[] Living = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

    public static readonly (string Name, Type Type, string Unit, double[]? Buckets)[] Table =
    [
        ("pooled_tcp.connection.count", typeof(ObservableUpDownCounter<long>), "{connection}", null),
        ("pooled_tcp.connection.max", typeof(ObservableUpDownCounter<long>), "{connection}", null),
        ("pooled_tcp.connection.idle.max", typeof(ObservableUpDownCounter<long>), "{connection}", null),
        ("pooled_tcp.connection.idle.min", typeof(ObservableUpDownCounter<long>), "{connection}", null),
        ("pooled_tcp.connection.pending_requests", typeof(ObservableUpDownCounter<long>), "{request}", null),
        ("pooled_tcp.connection.timeouts", typeof(Counter<long>), "{timeout}", null),
        ("pooled_tcp.connection.wait_time", typeof(Histogram<double>), "s", Waiting),
        ("pooled_tcp.connection.create_time", typeof(Histogram<double>), "s", Waiting),
        ("pooled_tcp.connection.use_time", typeof(Histogram<double>), "s", Using),
        ("pooled_tcp.connection.duration", typeof(Histogram<double>), "s", Living),
        ("pooled_tcp.connection.closed", typeof(Counter<long>), "{connection}", null),
        ("pooled_tcp.connection.health_check.duration", typeof(Histogram<double>), "s", Waiting),
        ("pooled_tcp.port.budget", typeof(ObservableUpDownCounter<long>), "{port}", null),
        ("pooled_tcp.port.used", typeof(ObservableUpDownCounter<long>), "{port}", null),
        ("pooled_tcp.port.time_wait", typeof(ObservableUpDownCounter<long>), "{port}", null),
        ("pooled_tcp.port.pressure", typeof(ObservableGauge<double>), "1", null),
        ("pooled_tcp.port.exhausted", typeof(Counter<long>), "{error}", null),
        ("pooled_tcp.socket.count", typeof(ObservableUpDownCounter<long>), "{connection}", null),
    ];

    public static IEnumerable<string> Names => Table.Select(static row => row.Name);
}
