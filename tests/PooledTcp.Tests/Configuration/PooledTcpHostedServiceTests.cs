using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Xunit;

namespace PooledTcp.Tests.Configuration;

public class PooledTcpHostedServiceTests
{
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
            services.AddPooledTcp(Bound.Section("Endpoints:cache:Address=127.0.0.1:6379"));
            services.AddSingleton<IHostedService>(after);
        });
        before.Services = after.Services = host.Services;

        await host.StartAsync(TestContext.Current.CancellationToken);
        await host.StopAsync(TestContext.Current.CancellationToken);

        Assert.Equal(["started", "stopped with cache"], before.Events);
        Assert.Equal(["started", "stopped with cache"], after.Events);
    }

    [Fact]
    public async Task A_host_that_never_started_stops()
    {
        using var host = Build(static services => services.AddPooledTcp(Bound.Section("Endpoints:cache:Address=127.0.0.1:6379")));
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

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

        public Task StopAsync(CancellationToken cancellationToken)
        {
            Events.Add($"stopped with {Services!.GetRequiredKeyedService<TcpPool>("cache").Name}");
            return Task.CompletedTask;
        }
    }
}
