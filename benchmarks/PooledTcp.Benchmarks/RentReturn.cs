using System.Net;
using BenchmarkDotNet.Attributes;
using DotNetty.Transport.Channels;
using Microsoft.Extensions.ObjectPool;
using PooledTcp.Benchmarks.Contenders;

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
    private const int Size = 100;

    private static readonly IPEndPoint Address = new(IPAddress.Loopback, 1);

    private readonly ObjectPool<object> _objectPool = new DefaultObjectPool<object>(new DefaultPooledObjectPolicy<object>(), Size);
    private readonly SemaphoreStackPool<object> _semaphoreStack = new(Size, static () => new(new object()));
    private readonly KeyedSemaphoreStackPool<object> _keyedSemaphoreStack = new(Size, static () => new(new object()));
    private readonly ChannelPool _channel = new(Size);
    private LocalChannelPool _dotNetty = null!;
    private PooledTcpClient _client = null!;
    private TcpPool _pool = null!;

    /// <summary>Warms one connection by each kind of key.</summary>
    [GlobalSetup]
    public async Task SetUp()
    {
        _client = NullClient.Create(["cache"], static _ => { });
        _pool = _client.GetPool("cache");
        await _pool.WarmUpAsync(1);
        await _client.GetPool(Address).WarmUpAsync(1);
        _dotNetty = await LocalChannelPool.OpenAsync(1);
    }

    /// <summary>Ends the client and its maintenance loop.</summary>
    [GlobalCleanup]
    public async Task CleanUp()
    {
        await _client.DisposeAsync();
        await _dotNetty.DisposeAsync();
        _semaphoreStack.Dispose();
        _keyedSemaphoreStack.Dispose();
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

    /// <summary>By address.</summary>
    [Benchmark]
    public async ValueTask PooledTcpRentByEndPoint()
    {
        using TcpLease lease = await _client.RentAsync(Address);
        lease.Complete();
    }

    /// <summary>A semaphore and a concurrent stack, awaited.</summary>
    [Benchmark]
    public async ValueTask SemaphoreSlimAndStack()
    {
        object item = await _semaphoreStack.RentAsync();
        _semaphoreStack.Return(item);
    }

    /// <summary>The same by name.</summary>
    [Benchmark]
    public async ValueTask KeyedSemaphoreSlimAndStack()
    {
        object item = await _keyedSemaphoreStack.RentAsync("cache");
        _keyedSemaphoreStack.Return("cache", item);
    }

    /// <summary>A bounded channel, awaited.</summary>
    [Benchmark]
    public async ValueTask BoundedChannel()
    {
        object item = await _channel.RentAsync();
        _channel.Return(item);
    }

    /// <summary>DotNetty's pool, from outside its event loops, as an ordinary caller is.</summary>
    [Benchmark]
    public async ValueTask DotNettyFixedChannelPool()
    {
        IChannel channel = await _dotNetty.RentAsync();
        await _dotNetty.ReturnAsync(channel);
    }
}
