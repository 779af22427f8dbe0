using PooledTcp.KernelTests.Harness;
using Xunit;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>All servers, measured a few at a time: most of it is waiting for idle timeouts.</summary>
public sealed class ClosingMeasurements : IAsyncLifetime
{
    private static readonly Dictionary<string, (RealServer Server, Func<Task<ClosingRow[]>> Measure)> Servers = new[]
    {
        Of<RedisServer>(),
        Of<MemcachedServer>(),
        Of<PostgreSqlServer>(),
        Of<MariaDbServer>(),
        Of<NginxServer>(),
        Of<AiosmtpdServer>(),
        Of<DovecotPop3>(),
        Of<DovecotImap>(),
        Of<VsftpdServer>(),
        Of<KestrelServer>(),
    }.ToDictionary(static entry => entry.Server.Name);

    // More of them on two cores would take each other's time from under the servers' idle timeouts.
    private readonly SemaphoreSlim _places = new(3);
    private readonly Dictionary<string, Task<ClosingRow[]>> _rows = [];

    public static TheoryData<string> Names { get; } = [.. Servers.Keys];

    public async ValueTask InitializeAsync()
    {
        foreach ((string name, (RealServer server, Func<Task<ClosingRow[]>> measure)) in Servers)
        {
            if (server.FindObstacle() is null)
            {
                _rows.Add(name, MeasureAsync(measure));
            }
        }

        // Each test reports its own server's failure.
        await Task.WhenAll(_rows.Values).ContinueWith(static _ => { }, TaskScheduler.Default);
    }

    public ValueTask DisposeAsync()
    {
        _places.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>What was measured. Skips the test where the server, or the namespace, is not to be had.</summary>
    public async Task<ClosingRow[]> OfAsync(string name)
    {
        Assert.SkipUnless(_rows.ContainsKey(name), $"No {name}: {Servers[name].Server.FindObstacle()}");
        return await _rows[name];
    }

    private static (RealServer Server, Func<Task<ClosingRow[]>> Measure) Of<TServer>()
        where TServer : RealServer, new() =>
        (new TServer(), static () => NetworkNamespace.RunAsync(ClosingScenario<TServer>.PlayAsync, ClosingScenario<TServer>.Settings));

    private async Task<ClosingRow[]> MeasureAsync(Func<Task<ClosingRow[]>> measure)
    {
        await _places.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            return await measure();
        }
        finally
        {
            _places.Release();
        }
    }
}
