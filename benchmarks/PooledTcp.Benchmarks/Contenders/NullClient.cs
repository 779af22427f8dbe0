using System.Collections.Frozen;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Benchmarks.Contenders;

/// <summary>The whole client over connections without sockets: what is measured is the pool, with everything that it does.</summary>
internal static class NullClient
{
    /// <summary>Idle connections stay, however long a measurement takes.</summary>
    public static PooledTcpClient Create(
        IEnumerable<string> endpoints, Action<TcpEndpointOptions> configure, IConnector? connector = null, TimeProvider? time = null)
    {
        PooledTcpOptions options = new();
        Set(options.Defaults);
        foreach (string name in endpoints)
        {
            options.AddEndpoint(name, Set);
        }

        return new PooledTcpClient(
            SettingsFactory.Create(options), FrozenDictionary<string, EndpointHooks>.Empty, null, null, time, (_, _) => connector ?? new NullTransport());

        void Set(TcpEndpointOptions endpoint)
        {
            endpoint.Address = ReferenceEquals(endpoint, options.Defaults) ? null : "127.0.0.1:1";
            endpoint.IdleTimeout = Timeout.InfiniteTimeSpan;
            endpoint.RetentionPeriod = Timeout.InfiniteTimeSpan;
            configure(endpoint);
        }
    }
}
