using System.Collections.ObjectModel;

namespace PooledTcp.OpenTelemetryTests.Harness;

/// <summary>What an in-memory exporter was given. Spans end on any thread, and the exporter's own list takes no lock.</summary>
internal sealed class Exported<T> : Collection<T>
{
    private readonly Lock _lock = new();

    public T[] Now
    {
        get
        {
            lock (_lock)
            {
                return [.. Items];
            }
        }
    }

    protected override void InsertItem(int index, T item)
    {
        lock (_lock)
        {
            // Not at the index of before the lock: another may have come between.
            base.InsertItem(Items.Count, item);
        }
    }

    protected override void ClearItems()
    {
        lock (_lock)
        {
            base.ClearItems();
        }
    }
}
