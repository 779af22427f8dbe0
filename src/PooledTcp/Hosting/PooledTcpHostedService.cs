using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using PooledTcp.Configuration;

namespace PooledTcp.Hosting;

/// <summary>Ties the client to the host: invalid settings fail the start, and leases may finish while the host stops.</summary>
/// <remarks>
/// <para>
/// Start: in <see cref="StartingAsync"/>, which runs before any hosted service starts, so that none of them works a while
/// with settings that fail it.
/// </para>
/// <para>
/// Stop, in two steps (ADR 11). From the first sign of it on, health checks send new traffic elsewhere and nothing is dialed
/// in advance; rents are served. In <see cref="StoppedAsync"/>, which runs after every <c>StopAsync</c>, new rents are
/// refused, leases may finish, and everything is closed. A web server answers its last requests, and a worker writes its
/// last batch, in their own <c>StopAsync</c>; both still need to rent, whatever the order of registration. Refusing earlier
/// would fail exactly the requests that a graceful stop lets finish.
/// </para>
/// </remarks>
internal sealed class PooledTcpHostedService(IServiceProvider services) : IHostedLifecycleService, IDisposable
{
    private PooledTcpClient? _client;
    private CancellationTokenRegistration _stopping;

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        // Not in the constructor: the host makes all hosted services before it starts the first.
        _client = services.GetRequiredService<PooledTcpClient>();
        foreach (EndpointHook hook in services.GetServices<EndpointHook>())
        {
            hook.Make?.Invoke(services);
        }

        // A signal fires this before any StoppingAsync; of those, another service's may come before ours and take its time,
        // just so that balancers notice.
        if (services.GetService<IHostApplicationLifetime>() is { } lifetime)
        {
            _stopping = lifetime.ApplicationStopping.Register(static client => ((PooledTcpClient)client!).BeginStopping(), _client);
        }

        return Task.CompletedTask;
    }

    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        // Whoever stops the host by its StopAsync comes here first.
        _client?.BeginStopping();
        return Task.CompletedTask;
    }

    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        if (_client is { } client)
        {
            // The host's token carries HostOptions.ShutdownTimeout; there is no deadline besides it.
            await client.DrainAsync(Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _stopping.Dispose();
}
