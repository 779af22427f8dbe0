using System.Collections.Concurrent;

namespace PooledTcp.Benchmarks;

/// <summary>What most people write by hand.</summary>
internal sealed class SemaphoreStackPool : IDisposable
{
    private readonly ConcurrentStack<object> _idle = new();
    private readonly SemaphoreSlim _slots = new(100);

    public async ValueTask<object> RentAsync()
    {
        await _slots.WaitAsync();
        return _idle.TryPop(out object? item) ? item : new object();
    }

    public void Return(object item)
    {
        _idle.Push(item);
        _slots.Release();
    }

    public void Dispose() => _slots.Dispose();
}
