using System.Net;
using System.Net.Sockets;
using Garnet;
using Garnet.server;
using Garnet.server.Auth.Settings;
using Garnet.server.TLS;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>Microsoft Garnet inside this process: small, silent, in memory.</summary>
public class GarnetEmbedded : RespServer
{
    private GarnetServer? _server;

    /// <summary>Clients must send AUTH with it; null for an open server.</summary>
    public string? Password { get; init; }

    /// <summary>Also listens there.</summary>
    public string? UnixPath { get; init; }

    internal IGarnetTlsOptions? Tls { get; init; }

    public override Task StartAsync()
    {
        List<EndPoint> endpoints = [new IPEndPoint(IPAddress.Loopback, Port)];
        if (UnixPath is not null)
        {
            endpoints.Add(new UnixDomainSocketEndPoint(UnixPath));
        }

        _server = new GarnetServer(new GarnetServerOptions
        {
            EndPoints = [.. endpoints],
            UnixSocketPath = UnixPath,
            QuietMode = true,
            DisablePubSub = true,
            LogMemorySize = "64m",
            PageSize = "1m",
            SegmentSize = "1m",
            IndexMemorySize = "1m",
            AuthSettings = Password is null ? null : new PasswordAuthenticationSettings(Password),
            TlsOptions = Tls,
        });
        _server.Start();
        return Task.CompletedTask;
    }

    public override Task StopAsync()
    {
        Interlocked.Exchange(ref _server, null)?.Dispose();
        return Task.CompletedTask;
    }
}
