using System.Net;
using BenchmarkDotNet.Attributes;
using DotNetty.Transport.Channels;
using Microsoft.Extensions.ObjectPool;
using PooledTcp.Benchmarks.Contenders;

namespace PooledTcp.Benchmarks;

/// <summary>
/// One caller that goes round the keys in random order, one warm connection each. The floor goes round as many object pools: a
/// part of what many keys cost is that they do not fit into a cache, whoever keeps them.
/// </summary>
[MemoryDiagnoser]
#pragma warning disable CA1001 // CleanUp is where BenchmarkDotNet disposes
public class Keys
#pragma warning restore CA1001
{
    private readonly KeyedSemaphoreStackPool<object> _keyedSemaphoreStack = new(1, static () => new(new object()));
    private PooledTcpClient _client = null!;
    private string[] _names = [];
    private IPEndPoint[] _addresses = [];
    private TcpPool[] _handles = [];
    private ObjectPool<object>[] _objectPools = [];
    private ChannelPool[] _channels = [];
    private LocalChannelPool[] _dotNetty = [];
    private int _next;

    /// <summary>How many keys are in use.</summary>
    [Params(1, 100, 10_000)]
    public int Count { get; set; }

    /// <summary>Warms them.</summary>
    [GlobalSetup]
    public async Task SetUp()
    {
        int[] order = [.. Enumerable.Range(0, Count)];
        new Random(42).Shuffle(order);
        _names = [.. order.Select(static i => $"key-{i}")];
        _addresses = [.. order.Select(static i => new IPEndPoint(new IPAddress([127, 1, (byte)(i >> 8), (byte)i]), 1))];
        _client = NullClient.Create(_names, static _ => { });
        _handles = [.. _names.Select(_client.GetPool)];
        _objectPools = [.. order.Select(static _ => new DefaultObjectPool<object>(new DefaultPooledObjectPolicy<object>(), 1))];
        _channels = [.. order.Select(static _ => new ChannelPool(1))];
        _dotNetty = await LocalChannelPool.OpenAsync(Count, size: 1);
        for (int i = 0; i < Count; i++)
        {
            await _handles[i].WarmUpAsync(1);
            await _client.GetPool(_addresses[i]).WarmUpAsync(1);
            _keyedSemaphoreStack.Return(_names[i], await _keyedSemaphoreStack.RentAsync(_names[i]));
        }
    }

    /// <summary>Ends the client and its maintenance loop.</summary>
    [GlobalCleanup]
    public async Task CleanUp()
    {
        await _client.DisposeAsync();
        _keyedSemaphoreStack.Dispose();
        foreach (LocalChannelPool pool in _dotNetty)
        {
            await pool.DisposeAsync();
        }
    }

    /// <summary>The floor: an object pool per key, found by its number.</summary>
    [Benchmark(Baseline = true)]
    public void DefaultObjectPool()
    {
        ObjectPool<object> pool = _objectPools[Next()];
        pool.Return(pool.Get());
    }

    /// <summary>The handles were kept.</summary>
    [Benchmark]
    public async ValueTask PooledTcpByHandle()
    {
        using TcpLease lease = await _handles[Next()].RentAsync();
        lease.Complete();
    }

    /// <summary>Each rent names its endpoint.</summary>
    [Benchmark]
    public async ValueTask PooledTcpByName()
    {
        using TcpLease lease = await _client.RentAsync(_names[Next()]);
        lease.Complete();
    }

    /// <summary>Each rent brings its address.</summary>
    [Benchmark]
    public async ValueTask PooledTcpByEndPoint()
    {
        using TcpLease lease = await _client.RentAsync(_addresses[Next()]);
        lease.Complete();
    }

    /// <summary>A dictionary of semaphores and stacks.</summary>
    [Benchmark]
    public async ValueTask KeyedSemaphoreSlimAndStack()
    {
        string name = _names[Next()];
        object item = await _keyedSemaphoreStack.RentAsync(name);
        _keyedSemaphoreStack.Return(name, item);
    }

    /// <summary>A bounded channel per key, found by its number.</summary>
    [Benchmark]
    public async ValueTask BoundedChannel()
    {
        ChannelPool pool = _channels[Next()];
        object item = await pool.RentAsync();
        pool.Return(item);
    }

    /// <summary>DotNetty's pool, one per key, found by its number.</summary>
    [Benchmark]
    public async ValueTask DotNettyFixedChannelPool()
    {
        LocalChannelPool pool = _dotNetty[Next()];
        IChannel channel = await pool.RentAsync();
        await pool.ReturnAsync(channel);
    }

    private int Next()
    {
        int next = _next + 1;
        return _next = next < Count ? next : 0;
    }
}
