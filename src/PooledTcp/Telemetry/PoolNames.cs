using System.Diagnostics;
using System.Globalization;
using PooledTcp.Configuration;

namespace PooledTcp.Telemetry;

/// <summary>What a pool and its spans are called, put together once.</summary>
internal sealed class PoolNames
{
    private readonly string _pool;
    private readonly string _address;
    private readonly object? _port;

    public PoolNames(PoolTags tags, string pool, EndpointAddress address)
    {
        Tags = tags;
        _pool = pool;
        _address = address.Host;
        _port = address.IsUnix ? null : address.Port;
        string server = address.IsUnix ? address.Host : string.Create(CultureInfo.InvariantCulture, $"{address.Host}:{address.Port}");
        Wait = $"pooled_tcp wait_for_connection {server}";
        Setup = $"pooled_tcp connection_setup {server}";
        Lease = $"pooled_tcp lease {pool}";
    }

    public PoolTags Tags { get; }

    public string Wait { get; }

    public string Setup { get; }

    public string Lease { get; }

    public void Describe(Activity span, string displayName)
    {
        span.DisplayName = displayName;
        span.SetTag(Attributes.PoolName, _pool);
        span.SetTag(Attributes.ServerAddress, _address);
        if (_port is not null)
        {
            span.SetTag(Attributes.ServerPort, _port);
        }
    }
}
