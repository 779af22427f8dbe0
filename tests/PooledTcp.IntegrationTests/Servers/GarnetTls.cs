using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Garnet.server.TLS;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>Garnet with a self-signed certificate, which the client knows.</summary>
public sealed class GarnetTls : GarnetEmbedded
{
    public GarnetTls() => Tls = new ServerTls();

    /// <summary>Pinning: this one certificate, whoever signed it.</summary>
    public static bool IsPinned(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors) =>
        certificate?.GetRawCertData().AsSpan().SequenceEqual(TestCertificates.Server.RawData) == true;

    public override void Configure(TcpEndpointOptions endpoint)
    {
        base.Configure(endpoint);
        endpoint.Tls.Enabled = true;
        endpoint.Tls.TargetHost = TestCertificates.ServerName;
        endpoint.Tls.RemoteCertificateValidationCallback = IsPinned;
    }

    private sealed class ServerTls : IGarnetTlsOptions
    {
        public SslClientAuthenticationOptions TlsClientOptions { get; } = new();

        public SslServerAuthenticationOptions TlsServerOptions { get; } = new()
        {
            ServerCertificate = TestCertificates.Server,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        };

        public bool UpdateCertFile(string certFileName, string certPassword, out string errorMessage)
        {
            errorMessage = "The certificate lives in memory.";
            return false;
        }
    }
}
