using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace PooledTcp.Configuration;

/// <summary>Ties the client to the host: invalid settings fail the start, and leases may finish while the host stops.</summary>
/// <remarks>
/// Start: in <see cref="StartingAsync"/>, which runs before any hosted service starts, so that none of them works a while
/// with settings that fail it. Stop: in <see cref="StoppedAsync"/>, which runs after every <c>StopAsync</c>. A web server
/// answers its last requests, and a worker writes its last batch, in their own <c>StopAsync</c>; both still need to rent,
/// whatever the order of registration. Refusing earlier, at <see cref="StoppingAsync"/>, would fail exactly the requests
/// that a graceful stop lets finish.
/// </remarks>
internal sealed class PooledTcpHostedService(IServiceProvider services) : IHostedLifecycleService
{
    private PooledTcpClient? _client;

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        // Not in the constructor: the host makes all hosted services before it starts the first.
        _client = services.GetRequiredService<PooledTcpClient>();
        foreach (EndpointHook hook in services.GetServices<EndpointHook>())
        {
            hook.Make?.Invoke(services);
        }

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

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
