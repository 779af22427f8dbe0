using System.Diagnostics.Metrics;
using System.Net;
using PooledTcp.Ports;

namespace PooledTcp.Telemetry;

/// <summary>
/// Reads all pools when a collection asks, and adds up those that share their attributes: of two measurements with equal
/// attributes an exporter would keep one.
/// </summary>
/// <remarks>
/// Whatever was told once is told on, as zero, when its pools are gone. The SDK would otherwise export the last value for
/// ever: connections of a pool that went away unused. Attributes are bounded, so this is, too.
/// </remarks>
internal sealed class GaugeReader
{
    private readonly Lock _lock = new();
    private readonly List<WeakReference<ClientTelemetry>> _clients = [];
    private readonly HashSet<PoolTags> _pools = [];
    private readonly HashSet<(PoolTags Pool, string LocalAddress)> _ports = [];
    private readonly SocketCounts _sockets = new();

    /// <summary>Held weakly: a client that nobody uses any more, disposed or not, must not live on for its metrics.</summary>
    public void Add(ClientTelemetry client)
    {
        lock (_lock)
        {
            _clients.RemoveAll(static known => !known.TryGetTarget(out _));
            _clients.Add(new WeakReference<ClientTelemetry>(client));
        }
    }

    public IEnumerable<Measurement<long>> Read(Func<PoolReading, int> value) =>
        ReadCounts().Select(pool => new Measurement<long>(value(pool.Value), pool.Key.All.AsSpan()));

    public IEnumerable<Measurement<double>> ReadPortPressure() =>
        ReadPools<double>(static pool => pool.ReadPortPressure(), Math.Max).Select(static pool => new Measurement<double>(pool.Value, pool.Key.All.AsSpan()));

    public IEnumerable<Measurement<long>> ReadStates() => ReadCounts().SelectMany(static pool => (Measurement<long>[])
    [
        State(pool.Key, pool.Value.Idle, "idle"),
        State(pool.Key, pool.Value.Used, "used"),
        State(pool.Key, pool.Value.Connecting, "connecting"),
        State(pool.Key, pool.Value.Closing, "closing"),
    ]);

    public IEnumerable<Measurement<long>> ReadPortsUsed(Func<PortUse, int> value) =>
        ReadPorts(static reading => reading.Account, reading => value(reading.Use));

    /// <summary>Every client reckons with the same ports of the kernel.</summary>
    public IEnumerable<Measurement<long>> ReadPortBudgets() =>
        ReadPorts(static reading => (reading.Account.Tuple, reading.Account.Range), static reading => reading.Budget);

    public IEnumerable<Measurement<long>> ReadSockets()
    {
        // Several pools may lead to one address, and one name to several: each socket counts once under each name.
        Dictionary<(string?, int?), HashSet<IPEndPoint>> servers = [];
        foreach (IPoolGauges pool in Clients().Where(static client => client.Settings.SocketCount).SelectMany(static client => client.Pools()))
        {
            (string?, int?) server = (pool.Tags.ServerAddress, pool.Tags.ServerPort);
            if (!servers.TryGetValue(server, out HashSet<IPEndPoint>? addresses))
            {
                servers.Add(server, addresses = []);
            }

            addresses.UnionWith(pool.ReadAddresses());
        }

        return _sockets.Read(servers);
    }

    /// <summary>What several pools of one name share counts once: partitions of one address draw from the same ports.</summary>
    private IEnumerable<Measurement<long>> ReadPorts<TIdentity>(Func<PortReading, TIdentity> identity, Func<PortReading, int> value)
    {
        Dictionary<(PoolTags Pool, string LocalAddress), int> sums = [];
        HashSet<(PoolTags, TIdentity)> seen = [];
        foreach (IPoolGauges pool in Clients().SelectMany(static client => client.Pools()))
        {
            PoolTags tags = pool.Tags;
            foreach (PortReading reading in pool.ReadPorts())
            {
                if (seen.Add((tags, identity(reading))))
                {
                    (PoolTags, string) key = (tags, reading.LocalAddress);
                    sums[key] = sums.GetValueOrDefault(key) + value(reading);
                }
            }
        }

        return Complete(sums, _ports).Select(static sum => new Measurement<long>(
            sum.Value, [.. sum.Key.Pool.All, new(Attributes.LocalAddress, sum.Key.LocalAddress)]));
    }

    private static Measurement<long> State(PoolTags pool, int count, string state) =>
        new(count, [.. pool.All, new(Attributes.ConnectionState, state)]);

    private Dictionary<PoolTags, PoolReading> ReadCounts() => ReadPools(static pool => pool.Read(), static (a, b) => a + b);

    private Dictionary<PoolTags, T> ReadPools<T>(Func<IPoolGauges, T> read, Func<T, T, T> sum)
        where T : struct
    {
        Dictionary<PoolTags, T> sums = [];
        foreach (IPoolGauges pool in Clients().SelectMany(static client => client.Pools()))
        {
            PoolTags tags = pool.Tags;
            sums[tags] = sum(sums.GetValueOrDefault(tags), read(pool));
        }

        return Complete(sums, _pools);
    }

    private Dictionary<TKey, TValue> Complete<TKey, TValue>(Dictionary<TKey, TValue> sums, HashSet<TKey> told)
        where TKey : notnull
        where TValue : struct
    {
        lock (_lock)
        {
            told.UnionWith(sums.Keys);
            foreach (TKey key in told)
            {
                sums.TryAdd(key, default);
            }
        }

        return sums;
    }

    private List<ClientTelemetry> Clients()
    {
        List<ClientTelemetry> clients = [];
        lock (_lock)
        {
            foreach (WeakReference<ClientTelemetry> known in _clients)
            {
                if (known.TryGetTarget(out ClientTelemetry? client))
                {
                    clients.Add(client);
                }
            }
        }

        return clients;
    }
}
