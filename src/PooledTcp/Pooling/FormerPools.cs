using System.Collections.Concurrent;
using PooledTcp.Connections;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>The ad hoc pools that have retired and still owe ports. Maintenance adds and forgets, collections read.</summary>
internal sealed class FormerPools(PoolClock clock)
{
    /// <summary>
    /// About as long as a TIME-WAIT runs, at the next retirement. At every retirement it would be quadratic: 10,000 keys that go
    /// unused together owe their TIME-WAITs together, too.
    /// </summary>
    public static readonly TimeSpan LookInterval = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<FormerPool, bool> _pools = new();

    // Maintenance only.
    private TimeSpan _lookedAt;

    public IEnumerable<IPoolGauges> All => _pools.Keys;

    public void Add(FormerPool pool) => _pools.TryAdd(pool, true);

    public void ForgetSettled()
    {
        TimeSpan now = clock.Coarse;
        if (now - _lookedAt < LookInterval)
        {
            return;
        }

        _lookedAt = now;
        foreach ((FormerPool former, _) in _pools)
        {
            if (former.IsSettled)
            {
                _pools.TryRemove(former, out _);
            }
        }
    }
}
