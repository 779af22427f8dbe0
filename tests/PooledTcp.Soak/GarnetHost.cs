using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Garnet;
using Garnet.server;
using Garnet.server.TLS;

namespace PooledTcp.Soak;

/// <summary>The child's side of <see cref="SoakServer"/> without redis-server: a Microsoft Garnet on one port, plain or with TLS.</summary>
internal static class GarnetHost
{
    /// <param name="arguments">Port of the plain one, port of the one with TLS, certificate and key as PEM files.</param>
    public static async Task<int> RunAsync(string[] arguments)
    {
        using var pem = X509Certificate2.CreateFromPemFile(arguments[2], arguments[3]);
        using GarnetServer plain = Start(arguments[0], null);
        using GarnetServer tls = Start(arguments[1], new ServerTls(pem));
        await Task.Delay(Timeout.InfiniteTimeSpan);
        return 0;
    }

    private static GarnetServer Start(string port, IGarnetTlsOptions? tls)
    {
        var server = new GarnetServer(new GarnetServerOptions
        {
            EndPoints = [new IPEndPoint(IPAddress.Loopback, int.Parse(port, CultureInfo.InvariantCulture))],
            QuietMode = true,
            DisablePubSub = true,
            LogMemorySize = "16m",
            PageSize = "1m",
            SegmentSize = "1m",
            IndexMemorySize = "1m",
            TlsOptions = tls,
        });
        server.Start();
        return server;
    }

    private sealed class ServerTls(X509Certificate2 certificate) : IGarnetTlsOptions
    {
        public SslClientAuthenticationOptions TlsClientOptions { get; } = new();

        public SslServerAuthenticationOptions TlsServerOptions { get; } = new() { ServerCertificate = certificate };

        public bool UpdateCertFile(string certFileName, string certPassword, out string errorMessage)
        {
            errorMessage = "The certificate stays.";
            return false;
        }
    }
}
