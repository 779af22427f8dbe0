using System.Collections.Frozen;
using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.ObjectPool;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Benchmarks;

/// <summary>
/// One caller renting and returning a warm connection, beside the floor (an object pool that knows nothing) and what is
/// usually written by hand. Read the Ratio column: absolute times on a shared machine mean little.
/// </summary>
[MemoryDiagnoser]
#pragma warning disable CA1001 // CleanUp is where BenchmarkDotNet disposes
public class RentReturn
#pragma warning restore CA1001
{
    private readonly ObjectPool<object> _objectPool = new DefaultObjectPool<object>(new DefaultPooledObjectPolicy<object>());
    private readonly SemaphoreStackPool _semaphoreStack = new();
    private PooledTcpClient _client = null!;
    private TcpPool _pool = null!;

    /// <summary>Warms one connection.</summary>
    [GlobalSetup]
    public async Task SetUp()
    {
        PooledTcpOptions options = new PooledTcpOptions().AddEndpoint("cache", static e => e.Address = "127.0.0.1:1");
        _client = new PooledTcpClient(
            SettingsFactory.Create(options), FrozenDictionary<string, EndpointHooks>.Empty, null, null, null, static (_, _) => new NullTransport());
        _pool = _client.GetPool("cache");
        await _pool.WarmUpAsync(1);
    }

    /// <summary>Ends the client and its maintenance loop.</summary>
    [GlobalCleanup]
    public void CleanUp()
    {
        _client.Dispose();
        _semaphoreStack.Dispose();
    }

    /// <summary>The floor.</summary>
    [Benchmark(Baseline = true)]
    public void DefaultObjectPool() => _objectPool.Return(_objectPool.Get());

    /// <summary>By handle, without an async state machine in the caller.</summary>
    [Benchmark]
    public void PooledTcpTryRent()
    {
        _pool.TryRent(out TcpLease lease);
        lease.Complete();
        lease.Dispose();
    }

    /// <summary>By handle, awaited, as callers write it.</summary>
    [Benchmark]
    public async ValueTask PooledTcpRentAsync()
    {
        using TcpLease lease = await _pool.RentAsync();
        lease.Complete();
    }

    /// <summary>By name.</summary>
    [Benchmark]
    public async ValueTask PooledTcpRentByName()
    {
        using TcpLease lease = await _client.RentAsync("cache");
        lease.Complete();
    }

    /// <summary>A semaphore and a concurrent stack, awaited.</summary>
    [Benchmark]
    public async ValueTask SemaphoreSlimAndStack()
    {
        object item = await _semaphoreStack.RentAsync();
        _semaphoreStack.Return(item);
    }
}
