using PooledTcp.KernelTests.Harness;
using Xunit;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>All servers, measured a few at a time: most of it is waiting for idle timeouts.</summary>
public sealed class ClosingMeasurements : IAsyncLifetime
{
    // More of them on two cores would take each other's time from under the servers' idle timeouts.
    private readonly SemaphoreSlim _places = new(3);
    private readonly Dictionary<string, (RealServer Server, Task<ClosingRow[]>? Rows)> _servers = [];

    public static TheoryData<string> Names { get; } =
        [.. new ClosingMeasurements().AddAll(measure: false)._servers.Keys];

    public async ValueTask InitializeAsync()
    {
        AddAll(measure: true);
        await Task.WhenAll(_servers.Values.Where(static s => s.Rows is not null).Select(static s => s.Rows!.ContinueWith(
            static _ => { }, TaskScheduler.Default)));
    }

    public ValueTask DisposeAsync()
    {
        _places.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>What was measured. Skips the test where the server, or the namespace, is not to be had.</summary>
    public async Task<ClosingRow[]> OfAsync(string name)
    {
        (RealServer server, Task<ClosingRow[]>? rows) = _servers[name];
        Assert.SkipWhen(rows is null, $"No {name}: {server.FindObstacle()}");
        return await rows!;
    }

    private ClosingMeasurements AddAll(bool measure)
    {
        Add<RedisServer>(measure);
        Add<MemcachedServer>(measure);
        Add<PostgreSqlServer>(measure);
        Add<MariaDbServer>(measure);
        Add<NginxServer>(measure);
        Add<AiosmtpdServer>(measure);
        Add<DovecotPop3>(measure);
        Add<DovecotImap>(measure);
        Add<VsftpdServer>(measure);
        Add<KestrelServer>(measure);
        return this;
    }

    private void Add<TServer>(bool measure)
        where TServer : RealServer, new()
    {
        var server = new TServer();
        _servers.Add(server.Name, (server, measure && server.FindObstacle() is null ? MeasureAsync<TServer>() : null));
    }

    private async Task<ClosingRow[]> MeasureAsync<TServer>()
        where TServer : RealServer, new()
    {
        await _places.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            return await NetworkNamespace.RunAsync(ClosingScenario<TServer>.PlayAsync, ClosingScenario<TServer>.Settings);
        }
        finally
        {
            _places.Release();
        }
    }
}
