using System.Collections.Concurrent;

namespace PooledTcp.Benchmarks.Contenders;

/// <summary>What most people write by hand.</summary>
internal sealed class SemaphoreStackPool<T>(int size, Func<ValueTask<T>> open) : IDisposable
    where T : class
{
    private readonly ConcurrentStack<T> _idle = new();
    private readonly SemaphoreSlim _slots = new(size);

    public async ValueTask<T> RentAsync()
    {
        await _slots.WaitAsync();
        if (_idle.TryPop(out T? item))
        {
            return item;
        }

        try
        {
            return await open();
        }
        catch
        {
            _slots.Release();
            throw;
        }
    }

    public void Return(T item)
    {
        _idle.Push(item);
        _slots.Release();
    }

    /// <summary>Opens all that there may be.</summary>
    public async Task WarmUpAsync()
    {
        for (int i = 0; i < size; i++)
        {
            _idle.Push(await open());
        }
    }

    public void Dispose()
    {
        _slots.Dispose();
        while (_idle.TryPop(out T? item))
        {
            (item as IDisposable)?.Dispose();
        }
    }
}

/// <summary>The same by key, as it is written once there is a second endpoint.</summary>
internal sealed class KeyedSemaphoreStackPool<T>(int size, Func<ValueTask<T>> open) : IDisposable
    where T : class
{
    private readonly ConcurrentDictionary<string, SemaphoreStackPool<T>> _pools = new(StringComparer.Ordinal);

    public ValueTask<T> RentAsync(string key) => Of(key).RentAsync();

    public void Return(string key, T item) => Of(key).Return(item);

    public void Dispose()
    {
        foreach (SemaphoreStackPool<T> pool in _pools.Values)
        {
            pool.Dispose();
        }
    }

    private SemaphoreStackPool<T> Of(string key) =>
        _pools.GetOrAdd(key, static (_, settings) => new SemaphoreStackPool<T>(settings.Size, settings.Open), (Size: size, Open: open));
}
