using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests.Hosting;

/// <summary>A real generic host: injection, the graceful stop, and the start that refuses bad settings.</summary>
public sealed class HostTests(GarnetEmbedded server) : IClassFixture<GarnetEmbedded>
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task A_service_gets_the_pool_of_an_endpoint_that_only_configuration_names()
    {
        using IHost host = NewHost();
        await host.StartAsync(Token);
        var service = host.Services.GetRequiredService<CacheService>();

        Assert.Equal("hello", await service.EchoAsync("hello", Token));

        Assert.Equal("cache", service.Pool.Name);
        Assert.Same(service.Pool, host.Services.GetRequiredService<PooledTcpClient>().GetPool("CACHE"));
        Assert.Equal(7, service.Pool.GetSnapshot().MaxConnections);
        await host.StopAsync(Token);
    }

    [Fact(Timeout = Limit)]
    public async Task While_the_host_stops_a_lease_finishes_and_new_rents_are_refused()
    {
        using IHost host = NewHost(shutdownTimeout: TimeSpan.FromMinutes(5));
        await host.StartAsync(Token);
        TcpPool pool = host.Services.GetRequiredService<CacheService>().Pool;
        await using TcpLease lease = await pool.RentAsync(Token);
        await lease.SendAsync(RespReply.Command("ECHO", "in the middle"), Token);

        Task stop = host.StopAsync(CancellationToken.None);
        await Eventually.TrueAsync(() => pool.GetSnapshot().State == TcpPoolState.Draining, () => $"{pool.GetSnapshot()}");

        var refused = await Assert.ThrowsAsync<PoolClosedException>(async () => await pool.RentAsync(Token));
        Assert.Contains("draining", refused.Message, StringComparison.Ordinal);
        Assert.False(pool.TryRent(out _));
        Assert.False(stop.IsCompleted);
        Assert.Equal("in the middle", (await new RespReader(lease.ReceiveAsync).ReadAsync(Token)).Text);
        Assert.Equal("PONG", (await lease.CommandAsync(Token, "PING")).Text);
        lease.Complete();
        lease.Dispose();

        await stop.WaitAsync(Token);
        Assert.Equal(TcpPoolState.Closed, pool.GetSnapshot().State);
        await KernelSockets.MatchAsync(pool, server.Port);
        Assert.Equal(0, pool.GetSnapshot().Idle);
    }

    [Fact(Timeout = Limit)]
    public async Task A_hosted_service_may_still_rent_in_its_own_stop()
    {
        using IHost host = NewHost(services: static services => services.AddHostedService<LastWords>());
        await host.StartAsync(Token);

        await host.StopAsync(Token);

        Assert.Equal("last words", host.Services.GetServices<IHostedService>().OfType<LastWords>().Single().Heard);
    }

    [Fact(Timeout = Limit)]
    public async Task At_the_shutdown_timeout_a_stuck_lease_is_interrupted()
    {
        using IHost host = NewHost(shutdownTimeout: TimeSpan.FromMilliseconds(300));
        await host.StartAsync(Token);
        TcpPool pool = host.Services.GetRequiredService<CacheService>().Pool;
        await using TcpLease lease = await pool.RentAsync(Token);
        Task<int> stuck = lease.ReceiveAsync(new byte[1], Token).AsTask();

        await host.StopAsync(CancellationToken.None).WaitAsync(Token);

        await Assert.ThrowsAsync<ConnectionFaultedException>(() => stuck);
        lease.Dispose();
        Assert.Equal(TcpPoolState.Closed, pool.GetSnapshot().State);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task Invalid_settings_fail_the_start_with_every_fault_before_any_service_ran()
    {
        using IHost host = NewHost(
            services: static services => services.AddHostedService<NeverStarted>(),
            settings: new()
            {
                ["PooledTcp:Defaults:MaxConnections"] = "0",
                ["PooledTcp:Endpoints:cache:Address"] = "nowhere",
                ["PooledTcp:Endpoints:cache:RentTimeout"] = "soon",
                ["PooledTcp:Endpoints:other:MaxWaiterz"] = "5",
            });

        var error = await Assert.ThrowsAnyAsync<OptionsValidationException>(() => host.StartAsync(Token));

        foreach (string path in (string[])
            [
                "PooledTcp:Defaults:MaxConnections", "PooledTcp:Endpoints:cache:Address", "PooledTcp:Endpoints:cache:RentTimeout",
                "PooledTcp:Endpoints:other:MaxWaiterz", "PooledTcp:Endpoints:other:Address",
            ])
        {
            Assert.Contains(path, error.Message, StringComparison.Ordinal);
        }

        Assert.False(host.Services.GetServices<IHostedService>().OfType<NeverStarted>().Single().Started);
    }

    private IHost NewHost(
        TimeSpan? shutdownTimeout = null, Action<IServiceCollection>? services = null, Dictionary<string, string?>? settings = null)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(settings ?? new()
        {
            ["PooledTcp:Defaults:MaxConnections"] = "7",
            ["PooledTcp:Endpoints:cache:Address"] = server.Address,
        });
        builder.Services.AddPooledTcp(builder.Configuration.GetSection("PooledTcp"));
        builder.Services.AddSingleton<CacheService>();
        services?.Invoke(builder.Services);
        if (shutdownTimeout is { } timeout)
        {
            builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = timeout);
        }

        return builder.Build();
    }

    internal sealed class CacheService([FromKeyedServices("cache")] TcpPool pool)
    {
        public TcpPool Pool => pool;

        public async Task<string?> EchoAsync(string text, CancellationToken cancellationToken) =>
            (await pool.CommandAsync(cancellationToken, "ECHO", text)).Text;
    }

    private sealed class LastWords(CacheService cache) : IHostedService
    {
        public string? Heard { get; private set; }

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public async Task StopAsync(CancellationToken cancellationToken) => Heard = await cache.EchoAsync("last words", cancellationToken);
    }

    private sealed class NeverStarted : BackgroundService
    {
        public bool Started { get; private set; }

        protected override Task ExecuteAsync(CancellationToken stoppingToken)
        {
            Started = true;
            return Task.CompletedTask;
        }
    }
}
