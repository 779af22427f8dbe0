using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.TestSupport;

namespace PooledTcp.Soak;

/// <summary>The pools under test, what stands between them and the server, and the configuration that they follow.</summary>
internal sealed class SoakStage : IAsyncDisposable
{
    private const string Endpoints = "PooledTcp:Endpoints";

    private readonly IConfigurationRoot _configuration;
    private readonly ServiceProvider _services;

    public SoakStage(SoakServer server)
    {
        Proxies = [new(FreePort.Next(), server.Plain), new(FreePort.Next(), server.Plain), new(FreePort.Next(), server.Tls)];
        _configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            // No call of a caller waits longer, so that faults are met often and not waited out.
            ["PooledTcp:Defaults:RentTimeout"] = "00:00:00.500",
            ["PooledTcp:Defaults:ConnectTimeout"] = "00:00:00.500",
            ["PooledTcp:Defaults:Health:MaxBackoff"] = "00:00:00.200",
            ["PooledTcp:Defaults:Shutdown:DrainTimeout"] = "00:00:00.300",
            ["PooledTcp:Defaults:Shutdown:GoodbyeTimeout"] = "00:00:00.300",
            [$"{Endpoints}:plain:Address"] = Proxies[0].Address,
            [$"{Endpoints}:plain:MaxConnections"] = "8",
            [$"{Endpoints}:plain:MinIdleConnections"] = "2",
            [$"{Endpoints}:farewell:Address"] = Proxies[1].Address,
            [$"{Endpoints}:farewell:MaxConnections"] = "6",
            [$"{Endpoints}:farewell:MaxUses"] = "50",
            [$"{Endpoints}:farewell:Shutdown:Goodbye"] = "redis",
            [$"{Endpoints}:tls:Address"] = Proxies[2].Address,
            [$"{Endpoints}:tls:MaxConnections"] = "6",
            [$"{Endpoints}:tls:Tls:Enabled"] = "true",
            [$"{Endpoints}:tls:Tls:TargetHost"] = TestCertificates.ServerName,
            [$"{Endpoints}:few:Address"] = server.Plain.ToString(),
            [$"{Endpoints}:few:MaxConnections"] = "2",
            [$"{Endpoints}:few:Shutdown:ClosesFirst"] = "Client",
            [$"{Endpoints}:few:Lifetime"] = "00:00:02",
        }).Build();
        var services = new ServiceCollection();
        services.AddPooledTcp(_configuration.GetSection("PooledTcp")).AddEndpoint("tls", static endpoint =>
            endpoint.Tls.RemoteCertificateValidationCallback = static (_, certificate, _, _) =>
                certificate?.GetRawCertData().AsSpan().SequenceEqual(TestCertificates.Server.RawData) == true);
        _services = services.BuildServiceProvider();
        Client = _services.GetRequiredService<PooledTcpClient>();
        Pools = [.. new[] { "plain", "farewell", "tls", "few" }.Select(Client.GetPool), Client.GetPool(server.Plain, "tenant")];
        Ports = [.. Proxies.Select(static proxy => proxy.Port), server.Plain.Port, server.Tls.Port];
    }

    public IReadOnlyList<FaultProxy> Proxies { get; }

    public PooledTcpClient Client { get; }

    public IReadOnlyList<TcpPool> Pools { get; }

    /// <summary>Every port that a connection of the pools leads to.</summary>
    public IReadOnlyList<int> Ports { get; }

    public void Set(string endpoint, string setting, string value)
    {
        _configuration[$"{Endpoints}:{endpoint}:{setting}"] = value;
        _configuration.Reload();
    }

    /// <summary>Ends whatever was done to it.</summary>
    public void Heal()
    {
        foreach (FaultProxy proxy in Proxies)
        {
            proxy.Heal();
        }

        foreach (TcpPool pool in Pools)
        {
            pool.Resume();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        foreach (FaultProxy proxy in Proxies)
        {
            await proxy.DisposeAsync();
        }
    }
}
