using System.Net;
using Garnet;
using Garnet.server;

namespace CacheService.Hosting;

/// <summary>
/// Microsoft Garnet inside this process, in memory only, at the address of the endpoint: so that the example runs without a
/// server to install. <c>Backend: External</c> leaves it out.
/// </summary>
internal sealed class EmbeddedServer(IPEndPoint address) : IHostedLifecycleService, IDisposable
{
    private GarnetServer? _server;

    /// <summary>Before any hosted service starts, and so before the pool's first dial.</summary>
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        try
        {
            _server = new GarnetServer(new GarnetServerOptions
            {
                EndPoints = [address],
                QuietMode = true,
                DisablePubSub = true,
                LogMemorySize = "64m",
                PageSize = "4m",
                SegmentSize = "4m",
                IndexMemorySize = "1m",
            });
            _server.Start();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            throw new SettingException(
                $"The embedded server cannot listen at {address} ({exception.Message}). Set PooledTcp:Endpoints:cache:Address to a free address of the loopback, or Backend to External.",
                exception);
        }

        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Registered before the pool and so stopped after it, which says goodbye to it first.</summary>
    public Task StoppedAsync(CancellationToken cancellationToken)
    {
        Dispose();
        return Task.CompletedTask;
    }

    public void Dispose() => Interlocked.Exchange(ref _server, null)?.Dispose();
}
