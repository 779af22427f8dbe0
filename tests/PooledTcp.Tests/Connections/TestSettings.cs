using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using PooledTcp.Configuration;
using PooledTcp.Ports;

namespace PooledTcp.Tests.Connections;

internal static class TestSettings
{
    public static readonly SocketSettings Socket = new(
        NoDelay: true, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(5), KeepAliveCount: 3, TimeSpan.FromSeconds(35));

    public static readonly ShutdownSettings Shutdown = new()
    {
        ClosesFirst = ClosesFirst.Auto,
        Goodbye = default,
        GoodbyeTimeout = TimeSpan.FromSeconds(1),
        ServerCloseTimeout = TimeSpan.FromSeconds(75),
        DrainTimeout = TimeSpan.FromSeconds(2),
        AllowQuietClose = true,
        AllowAbort = false,
    };

    public static readonly HealthSettings Health = new() { FailuresToOpen = 5, MaxBackoff = TimeSpan.FromSeconds(5) };

    /// <summary>The ports of this machine, with what it can do about them.</summary>
    public static readonly LocalPorts Ports = new(TimeProvider.System);

    public static PoolSettings For(string host, int port, TlsSettings? tls = null, SocketSettings? socket = null, bool isUnix = false) => new()
    {
        Address = new EndpointAddress { Host = host, Port = port, IsUnix = isUnix },
        MaxConnections = 1,
        MinIdleConnections = 0,
        MaxConnecting = 1,
        MaxWaiters = 1,
        RentTimeout = TimeSpan.FromSeconds(5),
        ConnectTimeout = TimeSpan.FromSeconds(3),
        DnsRefreshInterval = TimeSpan.FromSeconds(30),
        IdleTimeout = TimeSpan.FromSeconds(90),
        Lifetime = TimeSpan.FromMinutes(30),
        LifetimeJitter = 0,
        MaxUses = int.MaxValue,
        AllowOneWay = false,
        Socket = socket ?? Socket,
        Tls = tls,
        Health = Health,
        Shutdown = Shutdown,
        Ports = new PortPolicy(),
    };

    /// <summary>Accepts the test certificate and no other.</summary>
    public static TlsSettings PinnedTls(SslProtocols protocols = SslProtocols.None) => new()
    {
        TargetHost = TestCertificates.ServerName,
        Protocols = protocols,
        Validate = IsPinned,
    };

    private static bool IsPinned(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors) =>
        (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) == SslPolicyErrors.None
        && certificate is X509Certificate2 presented
        && presented.Thumbprint == TestCertificates.Server.Thumbprint;
}
