using System.Collections.Concurrent;
using PooledTcp.Configuration;

namespace PooledTcp.Telemetry;

/// <summary>One client's part in the metrics: what it tells, and under which names.</summary>
internal sealed class ClientTelemetry
{
    /// <summary>
    /// So many addresses that are not configured are told apart, the first ones. Each has several series of each instrument
    /// (most of all <c>pooled_tcp.connection.closed</c>), and the SDK stops at 2,000.
    /// </summary>
    public const int MaxAdHocAddresses = 50;

    private static readonly PoolTags AdHoc = new(PoolTags.AdHoc, address: null, port: null);

    private readonly ConcurrentDictionary<EndpointAddress, PoolTags> _adHoc = new();
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
        set
        {
            _settings = value;
            _adHoc.Clear();
        }
    }

    public PoolTags TagsOf(string pool, bool isAdHoc, EndpointAddress address)
    {
        if (!_settings.ServerAddress)
        {
            return isAdHoc ? AdHoc : new PoolTags(pool, address: null, port: null);
        }

        if (!isAdHoc)
        {
            return Make(pool, address);
        }

        // The check may let a few more through when pools are made at one moment, which harms nobody.
        return _adHoc.TryGetValue(address, out PoolTags? known) ? known
            : _adHoc.Count < MaxAdHocAddresses ? _adHoc.GetOrAdd(address, static address => Make(PoolTags.AdHoc, address))
            : AdHoc;
    }

    private static PoolTags Make(string pool, EndpointAddress address) => new(pool, address.Host, address.IsUnix ? null : address.Port);
}
