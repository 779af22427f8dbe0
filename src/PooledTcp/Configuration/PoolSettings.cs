using PooledTcp.Ports;

namespace PooledTcp.Configuration;

/// <summary>
/// One endpoint's settings, validated and immutable: what a pool runs on. Made from <see cref="TcpEndpointOptions"/>
/// once per change, compared by value so that a reload that changes nothing does nothing.
/// </summary>
internal sealed record PoolSettings
{
    public required EndpointAddress Address { get; init; }

    public required int MaxConnections { get; init; }

    public required int MinIdleConnections { get; init; }

    public required int MaxConnecting { get; init; }

    public required int MaxWaiters { get; init; }

    /// <summary>May be <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    public required TimeSpan RentTimeout { get; init; }

    public required TimeSpan ConnectTimeout { get; init; }

    /// <summary>May be <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    public required TimeSpan DnsRefreshInterval { get; init; }

    /// <summary>May be <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    public required TimeSpan IdleTimeout { get; init; }

    /// <summary>May be <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    public required TimeSpan Lifetime { get; init; }

    /// <summary>0 to 0.5: the largest share of <see cref="Lifetime"/> that is taken off at random.</summary>
    public required double LifetimeJitter { get; init; }

    /// <summary><see cref="int.MaxValue"/> when there is no limit.</summary>
    public required int MaxUses { get; init; }

    public required bool AllowOneWay { get; init; }

    public required SocketSettings Socket { get; init; }

    /// <summary>Null when TLS is off.</summary>
    public required TlsSettings? Tls { get; init; }

    public required HealthSettings Health { get; init; }

    public required ShutdownSettings Shutdown { get; init; }

    public required PortPolicy Ports { get; init; }

    /// <summary>True when connections made under <paramref name="other"/> may go on serving under these settings: only limits differ.</summary>
    public bool SharesConnectionsWith(PoolSettings other) =>
        Address == other.Address && Socket == other.Socket && Tls == other.Tls && Ports.DialsLike(other.Ports);
}

/// <summary>Socket options set on every dial. A <see cref="UserTimeout"/> of zero is left to the kernel.</summary>
internal sealed record SocketSettings(
    bool NoDelay, TimeSpan KeepAliveTime, TimeSpan KeepAliveInterval, int KeepAliveCount, TimeSpan UserTimeout)
{
    /// <summary>An idle connection whose last ACK is older than this has a peer that does not answer.</summary>
    public TimeSpan KeepAliveTotal => KeepAliveTime + (KeepAliveInterval * KeepAliveCount);
}
