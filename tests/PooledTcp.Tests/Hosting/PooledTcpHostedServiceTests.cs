using System.Collections.Concurrent;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using PooledTcp.Tests.Configuration;
using PooledTcp.Tests.Connections;
using Xunit;

namespace PooledTcp.Tests.Hosting;

public sealed class PooledTcpHostedServiceTests : IDisposable
{
    // Kept: a peer that the finalizer takes would end connections with an RST.
    private readonly ConcurrentQueue<Socket> _servers = [];

    public void Dispose()
    {
        foreach (var server in _servers)
        {
            server.Dispose();
        }
    }

    [Fact]
    public async Task Invalid_settings_fail_the_start_before_any_service_starts()
    {
        var first = new Recorder();
        using var host = Build(
            services => services.AddSingleton<IHostedService>(first)
                .AddPooledTcp(Bound.Section("Endpoints:cache:Address=cache", "Endpoints:cache:MaxWaiters=x")));

        var e = await Assert.ThrowsAnyAsync<OptionsValidationException>(() => host.StartAsync(TestContext.Current.CancellationToken));

        Assert.Equal(
            """
            2 settings are not valid:
              PooledTcp:Endpoints:cache:Address: "cache" has no port: write cache:port.
              PooledTcp:Endpoints:cache:MaxWaiters: "x" is not a whole number.
            """.ReplaceLineEndings("\n"),
            e.Message);
        Assert.Empty(first.Events);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Services_that_stop_can_still_use_their_pools(bool concurrently)
    {
        // One registered before and one after the pool: whatever the order, neither stops behind a closed pool.
        var before = new Recorder();
        var after = new Recorder();
        using var host = Build(services =>
        {
            services.Configure<HostOptions>(o => o.ServicesStopConcurrently = concurrently);
            services.AddSingleton<IHostedService>(before);
            AddLoopback(services);
            services.AddSingleton<IHostedService>(after);
        });
        before.Services = after.Services = host.Services;

        await host.StartAsync(TestContext.Current.CancellationToken);
        await host.StopAsync(TestContext.Current.CancellationToken);

        Assert.Equal(["started", "stopped after a last message"], before.Events);
        Assert.Equal(["started", "stopped after a last message"], after.Events);
    }

    [Fact(Timeout = 30_000)]
    public async Task Stopping_refuses_rents_and_waits_for_leases()
    {
        using var host = Build(AddLoopback);
        await host.StartAsync(TestContext.Current.CancellationToken);
        var pool = host.Services.GetRequiredKeyedService<TcpPool>("cache");
        var lease = await pool.RentAsync(TestContext.Current.CancellationToken);

        var stop = host.StopAsync(TestContext.Current.CancellationToken);

        await UntilRefusedAsync(pool);
        Assert.False(stop.IsCompleted);
        await lease.DisposeAsync();
        await stop;
    }

    [Fact(Timeout = 30_000)]
    public async Task Leases_are_closed_when_the_hosts_stop_token_fires()
    {
        using var host = Build(AddLoopback);
        await host.StartAsync(TestContext.Current.CancellationToken);
        var pool = host.Services.GetRequiredKeyedService<TcpPool>("cache");
        await using var lease = await pool.RentAsync(TestContext.Current.CancellationToken);
        using var impatience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

        var stop = host.StopAsync(impatience.Token);
        await UntilRefusedAsync(pool);
        Assert.False(stop.IsCompleted);
        await impatience.CancelAsync();

        // Nobody returned it, and yet the stop ends and the peer notices: an interrupted lease is out of step, so it is a reset.
        await stop;
        Assert.True(_servers.TryPeek(out var server));
        var reset = await Assert.ThrowsAsync<SocketException>(() => server.ReceiveAsync(new byte[1], LoopbackSockets.Deadline()).AsTask());
        Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode);
    }

    [Fact]
    public async Task A_host_that_never_started_stops()
    {
        using var host = Build(static services => services.AddPooledTcp(Bound.Section("Endpoints:cache:Address=127.0.0.1:6379")));
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    private static async Task UntilRefusedAsync(TcpPool pool)
    {
        while (true)
        {
            try
            {
                await using var lease = await pool.RentAsync(TestContext.Current.CancellationToken);
                lease.Complete();
            }
            catch (PoolClosedException)
            {
                return;
            }

            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private void AddLoopback(IServiceCollection services) => services
        .AddPooledTcp(Bound.Section("Endpoints:cache:Address=127.0.0.1:6379"))
        .AddEndpoint("cache")
        .WithConnectCallback(async (_, _) =>
        {
            var (client, server) = await LoopbackSockets.ConnectAsync();
            _servers.Enqueue(server);
            return client;
        });

    private static IHost Build(Action<IServiceCollection> register)
    {
        var builder = Host.CreateEmptyApplicationBuilder(settings: null);
        builder.ConfigureContainer(new DefaultServiceProviderFactory(
            new ServiceProviderOptions { ValidateScopes = true, ValidateOnBuild = true }));
        register(builder.Services);
        return builder.Build();
    }

    private sealed class Recorder : IHostedService
    {
        public List<string> Events { get; } = [];

        public IServiceProvider? Services { get; set; }

        public Task StartAsync(CancellationToken cancellationToken)
        {
            Events.Add("started");
            return Task.CompletedTask;
        }

        public async Task StopAsync(CancellationToken cancellationToken)
        {
            await using var lease = await Services!.GetRequiredKeyedService<TcpPool>("cache").RentAsync(cancellationToken);
            await lease.SendAsync(new byte[1], cancellationToken);
            Events.Add("stopped after a last message");
        }
    }
}
