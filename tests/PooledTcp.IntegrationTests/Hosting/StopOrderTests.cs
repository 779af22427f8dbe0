using System.Collections.Concurrent;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests.Hosting;

/// <summary>What the other services of a real host see, stage by stage, while it starts and stops (ADR 11).</summary>
public sealed class StopOrderTests(GarnetEmbedded server) : IClassFixture<GarnetEmbedded>
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory(Timeout = Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stopping_turns_traffic_away_stopped_refuses_and_closes(bool bySignal)
    {
        // Stops run in the reverse order of registration: the first service is the last to hear of each stage.
        ConcurrentQueue<string> seen = new();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["PooledTcp:Endpoints:cache:Address"] = server.Address,
            ["PooledTcp:Endpoints:cache:MinIdleConnections"] = "2",
        });
        builder.Services.AddSingleton<IHostedService>(services => new Watcher("first", services, seen));
        builder.Services.AddPooledTcp(builder.Configuration.GetSection("PooledTcp"));
        builder.Services.AddHealthChecks().AddPooledTcp();
        builder.Services.AddSingleton<IHostedService>(services => new Watcher("last", services, seen));
        using IHost host = builder.Build();
        await host.StartAsync(Token);
        TcpPool pool = host.Services.GetRequiredKeyedService<TcpPool>("cache");
        await Eventually.TrueAsync(() => pool.GetSnapshot().Idle >= 2, () => $"{pool.GetSnapshot()}");
        Assert.Equal(["last starting: Healthy, served"], seen);
        seen.Clear();

        if (bySignal)
        {
            // What a signal does; then the host stops itself.
            host.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
        }

        await host.StopAsync(Token);

        Assert.Equal(
            [
                // Its turn comes before ours. It may wait there for balancers to notice, so a signal must have reached the check before.
                $"last stopping: {(bySignal ? "Unhealthy" : "Healthy")}, served",
                "first stopping: Unhealthy, served",
                "last stop: Unhealthy, served",
                "first stop: Unhealthy, served",
                "last stopped: Unhealthy, served",
                "first stopped: Unhealthy, refused",
            ],
            seen);
        Assert.Equal((TcpPoolState.Closed, 0), (pool.GetSnapshot().State, pool.GetSnapshot().Idle));
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task Once_it_stops_nothing_is_dialed_in_advance()
    {
        TaskCompletionSource mayStop = new(TaskCreationOptions.RunContinuationsAsynchronously);
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.Configure<HostOptions>(static options => options.ShutdownTimeout = TimeSpan.FromMinutes(5));
        builder.Services.AddPooledTcp().AddEndpoint("cache", endpoint =>
        {
            endpoint.Address = server.Address;
            endpoint.MinIdleConnections = 2;
        });
        builder.Services.AddSingleton<IHostedService>(new Slow(mayStop.Task));
        using IHost host = builder.Build();
        await host.StartAsync(Token);
        TcpPool pool = host.Services.GetRequiredKeyedService<TcpPool>("cache");
        await Eventually.TrueAsync(() => pool.GetSnapshot().Idle == 2, () => $"{pool.GetSnapshot()}");

        Task stop = host.StopAsync(CancellationToken.None);
        await Assert.ThrowsAsync<PoolClosedException>(() => pool.WarmUpAsync(4, Token));
        pool.Clear();
        await Eventually.TrueAsync(() => pool.GetSnapshot() is { Idle: 0, Closing: 0 }, () => $"{pool.GetSnapshot()}");

        // Every close asks maintenance for a look, and a lease's return after them is behind those looks.
        long before = pool.GetSnapshot().Created;
        Assert.Equal("PONG", (await pool.CommandAsync(Token, "PING")).Text);
        Assert.Equal(before + 1, pool.GetSnapshot().Created);
        mayStop.SetResult();
        await stop.WaitAsync(Token);
        Assert.Equal(before + 1, pool.GetSnapshot().Created);
    }

    private sealed class Watcher(string name, IServiceProvider services, ConcurrentQueue<string> seen) : IHostedLifecycleService
    {
        public Task StartingAsync(CancellationToken cancellationToken) =>
            name == "first" ? Task.CompletedTask : NoteAsync("starting", cancellationToken);

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppingAsync(CancellationToken cancellationToken) => NoteAsync("stopping", cancellationToken);

        public Task StopAsync(CancellationToken cancellationToken) => NoteAsync("stop", cancellationToken);

        public Task StoppedAsync(CancellationToken cancellationToken) => NoteAsync("stopped", cancellationToken);

        private async Task NoteAsync(string stage, CancellationToken cancellationToken)
        {
            HealthReport report = await services.GetRequiredService<HealthCheckService>().CheckHealthAsync(cancellationToken);
            string served;
            try
            {
                served = (await services.GetRequiredKeyedService<TcpPool>("cache").CommandAsync(cancellationToken, "PING")).Text == "PONG" ? "served" : "?";
            }
            catch (PoolClosedException)
            {
                served = "refused";
            }

            seen.Enqueue($"{name} {stage}: {report.Status}, {served}");
        }
    }

    private sealed class Slow(Task mayStop) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => mayStop;
    }
}
