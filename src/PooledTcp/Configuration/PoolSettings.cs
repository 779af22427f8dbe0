using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

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
    public required TimeSpan IdleTimeout { get; init; }

    /// <summary>May be <see cref="Timeout.InfiniteTimeSpan"/>.</summary>
    public required TimeSpan Lifetime { get; init; }

    /// <summary>0 to 1: the share of <see cref="Lifetime"/> that is taken off at random.</summary>
    public required double LifetimeJitter { get; init; }

    /// <summary><see cref="int.MaxValue"/> when there is no limit.</summary>
    public required int MaxUses { get; init; }

    public required bool AllowOneWay { get; init; }

    public required SocketSettings Socket { get; init; }

    /// <summary>Null when TLS is off.</summary>
    public required TlsSettings? Tls { get; init; }

    /// <summary>True when connections made under <paramref name="other"/> may go on serving under these settings: only limits differ.</summary>
    public bool SharesConnectionsWith(PoolSettings other) =>
        Address == other.Address && Socket == other.Socket && Tls == other.Tls;
}

/// <summary>Socket options set on every dial.</summary>
internal sealed record SocketSettings(
    bool NoDelay, TimeSpan KeepAliveTime, TimeSpan KeepAliveInterval, int KeepAliveCount, TimeSpan UserTimeout);

/// <summary>TLS as configured; part of the key, since two identities never share a connection.</summary>
internal sealed record TlsSettings
{
    /// <summary>The name sent as SNI and verified against the certificate.</summary>
    public required string TargetHost { get; init; }

    public required SslProtocols Protocols { get; init; }

    /// <summary>ALPN, in order of preference; joined by commas so that records compare by value.</summary>
    public string ApplicationProtocols { get; init; } = "";

    public X509RevocationMode RevocationMode { get; init; }

    public X509Certificate2Collection? ClientCertificates { get; init; }

    public RemoteCertificateValidationCallback? Validate { get; init; }
}
