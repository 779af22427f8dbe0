using System.Runtime.CompilerServices;
using DotNetty.Transport.Channels;
using Microsoft.Extensions.ObjectPool;
using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>How a caller of a rent contender behaves.</summary>
internal enum Holding
{
    /// <summary>
    /// Gives back at once, thousands of times, and then lets the next caller have the thread. So all callers get their turn, and
    /// as many as there are processors rent at the same moment.
    /// </summary>
    Briefly,

    /// <summary>Yields while it has the connection, as one that waits for a reply does. This is what makes the others wait.</summary>
    AcrossYield,
}

/// <summary>Rent and return without any I/O.</summary>
/// <param name="name">For figures.</param>
/// <param name="holding">See there.</param>
/// <param name="batch">How many <see cref="RentManyAsync"/> does.</param>
internal abstract class RentContender(string name, Holding holding, int batch = RentContender.Batch) : Contender(name)
{
    /// <summary>A yield takes as long as a few rents: in so many it does not show.</summary>
    protected const int Batch = 4096;

    public override async Task WorkAsync(Worker worker)
    {
        while (worker.Goes)
        {
            if (holding == Holding.Briefly)
            {
                await RentManyAsync();
                worker.Done(batch);
                await Task.Yield();
            }
            else
            {
                await HoldAsync(worker);
            }
        }
    }

    /// <summary>As many times rent and return.</summary>
    protected abstract ValueTask RentManyAsync();

    /// <summary>Rents and returns with a yield in between, until the worker is to stop.</summary>
    protected abstract Task HoldAsync(Worker worker);
}

/// <summary>The floor: knows no limit, so nobody ever waits.</summary>
/// <param name="holding">See there.</param>
/// <param name="size">How many it keeps; null for its default.</param>
internal sealed class ObjectPoolContender(Holding holding, int? size = null) : RentContender(ContenderName, holding)
{
    public const string ContenderName = "DefaultObjectPool";

    private readonly DefaultObjectPool<object> _pool =
        size is { } kept ? new(new DefaultPooledObjectPolicy<object>(), kept) : new(new DefaultPooledObjectPolicy<object>());

    protected override ValueTask RentManyAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            RentOne();
        }

        return default;
    }

    protected override async Task HoldAsync(Worker worker)
    {
        while (worker.Goes)
        {
            object item = _pool.Get();
            await Task.Yield();
            _pool.Return(item);
            worker.Done();
        }
    }

    // As each of the others: a call for each rent.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RentOne() => _pool.Return(_pool.Get());
}

internal sealed class SemaphoreRentContender(int size, Holding holding) : RentContender(ContenderName, holding)
{
    public const string ContenderName = "SemaphoreSlim + stack";

    private readonly SemaphoreStackPool<object> _pool = new(size, static () => new(new object()));

    public override Task OpenAsync() => _pool.WarmUpAsync();

    protected override ValueTask CloseAsync()
    {
        _pool.Dispose();
        return default;
    }

    protected override async ValueTask RentManyAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            await RentOneAsync();
        }
    }

    protected override async Task HoldAsync(Worker worker)
    {
        while (worker.Goes)
        {
            object item = await _pool.RentAsync();
            await Task.Yield();
            _pool.Return(item);
            worker.Done();
        }
    }

    private async ValueTask RentOneAsync()
    {
        object item = await _pool.RentAsync();
        _pool.Return(item);
    }
}

/// <summary>The same by key.</summary>
internal sealed class KeyedSemaphoreRentContender(int size) : RentContender(ContenderName, Holding.Briefly)
{
    public const string ContenderName = "keyed SemaphoreSlim + stack";

    private const string Key = "cache";

    private readonly KeyedSemaphoreStackPool<object> _pool = new(size, static () => new(new object()));

    protected override ValueTask CloseAsync()
    {
        _pool.Dispose();
        return default;
    }

    protected override async ValueTask RentManyAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            await RentOneAsync();
        }
    }

    protected override Task HoldAsync(Worker worker) => throw new NotSupportedException("Compared briefly only.");

    private async ValueTask RentOneAsync()
    {
        object item = await _pool.RentAsync(Key);
        _pool.Return(Key, item);
    }
}

internal sealed class ChannelRentContender(int size, Holding holding) : RentContender("bounded Channel", holding)
{
    private readonly ChannelPool _pool = new(size);

    protected override async ValueTask RentManyAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            await RentOneAsync();
        }
    }

    protected override async Task HoldAsync(Worker worker)
    {
        while (worker.Goes)
        {
            object item = await _pool.RentAsync();
            await Task.Yield();
            _pool.Return(item);
            worker.Done();
        }
    }

    private async ValueTask RentOneAsync()
    {
        object item = await _pool.RentAsync();
        _pool.Return(item);
    }
}

internal sealed class DotNettyRentContender(int size, Holding holding) : RentContender("DotNetty FixedChannelPool", holding, Few)
{
    /// <summary>Each takes 10 us and more: with thousands, 64 callers would take seconds until the last has had its first turn.</summary>
    private const int Few = 64;

    private LocalChannelPool _pool = null!;

    public override async Task OpenAsync() => _pool = await LocalChannelPool.OpenAsync(size);

    protected override ValueTask CloseAsync() => _pool.DisposeAsync();

    protected override async ValueTask RentManyAsync()
    {
        for (int i = 0; i < Few; i++)
        {
            await _pool.ReturnAsync(await _pool.RentAsync());
        }
    }

    protected override async Task HoldAsync(Worker worker)
    {
        while (worker.Goes)
        {
            IChannel channel = await _pool.RentAsync();
            await Task.Yield();
            await _pool.ReturnAsync(channel);
            worker.Done();
        }
    }
}
