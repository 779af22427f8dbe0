using PooledTcp.Configuration;

namespace PooledTcp.Telemetry;

/// <summary>One client's part in the metrics: what it tells, and under which names.</summary>
internal sealed class ClientTelemetry
{
    private volatile TelemetrySettings _settings;

    public ClientTelemetry(PoolInstruments instruments, TelemetrySettings settings)
    {
        Instruments = instruments;
        _settings = settings;
        instruments.Observe(this);
    }

    public PoolInstruments Instruments { get; }

    /// <summary>Every pool there is when a collection asks.</summary>
    public Func<IEnumerable<IPoolGauges>> Pools { get; set; } = static () => [];

    public TelemetrySettings Settings
    {
        get => _settings;
        set => _settings = value;
    }

    public PoolTags TagsOf(string pool, bool isAdHoc, EndpointAddress address) =>
        !_settings.ServerAddress || (isAdHoc && !Instruments.TellsApart(address))
            ? new PoolTags(pool, address: null, port: null)
            : new PoolTags(pool, address.Host, address.IsUnix ? null : address.Port);
}
