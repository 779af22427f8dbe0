using System.Net;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.ObjectPool;
using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>The order in which a caller goes round its keys.</summary>
internal enum Walk
{
    Random,

    /// <summary>
    /// That in which the pools were made, which is that of their names. Each rent then finds the memory of its key beside that of the last one, and the processor has
    /// fetched it already.
    /// </summary>
    AsMade,
}

/// <summary>One caller that goes round many keys, one warm connection each and the limits by default, without I/O.</summary>
internal sealed class KeyedRentContender : RentContender
{
    public const int WalkSeed = 42;
    public const int WarmUpSeed = 7;

    private readonly string[] _names;
    private readonly bool _byName;
    private readonly Walk _walk;
    private readonly PooledTcpClient _client;
    private TcpPool[] _handles = [];
    private int _next;

    /// <param name="keys">How many there are.</param>
    /// <param name="byName">Or by handle.</param>
    /// <param name="steps">Of a round, whatever the number of keys: the way through the caller's own list is not the pool's.</param>
    /// <param name="walk">The order of the round.</param>
    public KeyedRentContender(int keys, bool byName, int steps, Walk walk = Walk.Random)
        : base(NameOf(byName, keys, walk), Holding.Briefly)
    {
        _byName = byName;
        _walk = walk;
        _client = NullClient.Create(NamesOf(keys), static _ => { });
        _names = RoundOf(WalkOf(keys, walk), steps);
    }

    public static string NameOf(bool byName, int keys, Walk walk = Walk.Random) => $"PooledTcp by {(byName ? "name" : "handle")}, {keys} keys{Suffix(walk)}";

    /// <summary>New strings with each call: those whom somebody else holds are compared faster, and lie elsewhere.</summary>
    public static string[] NamesOf(int keys) => [.. Enumerable.Range(0, keys).Select(static i => $"key-{i}")];

    /// <summary>The order of the names, in which the client makes its pools, or another one, the same in each run.</summary>
    public static string[] WalkOf(int keys, Walk walk) =>
        walk == Walk.Random ? Shuffled(NamesOf(keys), WalkSeed) : [.. NamesOf(keys).Order(StringComparer.OrdinalIgnoreCase)];

    public static string Suffix(Walk walk) => walk == Walk.AsMade ? " as made" : "";

    public static T[] RoundOf<T>(T[] walk, int steps) => [.. Enumerable.Range(0, steps).Select(step => walk[step % walk.Length])];

    /// <summary>Another order, the same in each run.</summary>
    /// <param name="items">In any.</param>
    /// <param name="seed">The walk and the warm-up have one each.</param>
    public static T[] Shuffled<T>(IEnumerable<T> items, int seed)
    {
        T[] shuffled = [.. items];
        new Random(seed).Shuffle(shuffled);
        return shuffled;
    }

    public override async Task OpenAsync()
    {
        _handles = [.. _names.Select(_client.GetPool)];
        TcpPool[] pools = [.. _handles.Distinct()];
        foreach (TcpPool pool in _walk == Walk.Random ? Shuffled(pools, WarmUpSeed) : pools)
        {
            await pool.WarmUpAsync(1);
        }
    }

    protected override ValueTask CloseAsync() => _client.DisposeAsync();

    protected override ValueTask RentManyAsync() => _byName ? RentManyByNameAsync() : RentManyByHandleAsync();

    protected override Task HoldAsync(Worker worker) => throw new NotSupportedException("Compared briefly only.");

    private async ValueTask RentManyByNameAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            _next = _next + 1 < _names.Length ? _next + 1 : 0;
            await RentByNameAsync(_names[_next]);
        }
    }

    private async ValueTask RentManyByHandleAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            _next = _next + 1 < _handles.Length ? _next + 1 : 0;
            await RentByHandleAsync(_handles[_next]);
        }
    }

    private async ValueTask RentByNameAsync(string name)
    {
        using TcpLease lease = await _client.RentAsync(name);
        lease.Complete();
    }

    private static async ValueTask RentByHandleAsync(TcpPool pool)
    {
        using TcpLease lease = await pool.RentAsync();
        lease.Complete();
    }
}

/// <summary>A dictionary of hand-written pools, on the same random round.</summary>
internal sealed class KeyedSemaphoreRoundContender(int keys, int steps) : RentContender($"keyed SemaphoreSlim + stack, {keys} keys", Holding.Briefly)
{
    private readonly string[] _names = KeyedRentContender.RoundOf(KeyedRentContender.WalkOf(keys, Walk.Random), steps);
    private readonly KeyedSemaphoreStackPool<object> _pool = new(PooledRentContender.DefaultLimit, static () => new(new object()));
    private int _next;

    public override async Task OpenAsync()
    {
        foreach (string name in KeyedRentContender.Shuffled(KeyedRentContender.NamesOf(keys), KeyedRentContender.WarmUpSeed))
        {
            _pool.Return(name, await _pool.RentAsync(name));
        }
    }

    protected override ValueTask CloseAsync()
    {
        _pool.Dispose();
        return default;
    }

    protected override async ValueTask RentManyAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            _next = _next + 1 < _names.Length ? _next + 1 : 0;
            await RentAsync(_names[_next]);
        }
    }

    protected override Task HoldAsync(Worker worker) => throw new NotSupportedException("Compared briefly only.");

    private async ValueTask RentAsync(string name)
    {
        object item = await _pool.RentAsync(name);
        _pool.Return(name, item);
    }
}

/// <summary>The floor on the same rounds: an array of pools that know no limit, or a dictionary of them.</summary>
internal sealed class ObjectPoolRoundContender : RentContender
{
    private readonly string[] _names;
    private readonly bool _byName;
    private readonly Walk _walk;
    private readonly Dictionary<string, DefaultObjectPool<object>> _pools;
    private readonly DefaultObjectPool<object>[] _handles;
    private int _next;

    public ObjectPoolRoundContender(int keys, bool byName, int steps, Walk walk = Walk.Random)
        : base(NameOf(byName, keys, walk), Holding.Briefly)
    {
        _byName = byName;
        _walk = walk;
        _names = KeyedRentContender.RoundOf(KeyedRentContender.WalkOf(keys, walk), steps);
        _pools = (walk == Walk.Random ? KeyedRentContender.NamesOf(keys) : KeyedRentContender.WalkOf(keys, walk)).ToDictionary(
            static name => name, static _ => new DefaultObjectPool<object>(new DefaultPooledObjectPolicy<object>()), StringComparer.Ordinal);
        _handles = [.. _names.Select(name => _pools[name])];
    }

    public static string NameOf(bool byName, int keys, Walk walk = Walk.Random) =>
        $"DefaultObjectPool by {(byName ? "name" : "handle")}, {keys} keys{KeyedRentContender.Suffix(walk)}";

    public override Task OpenAsync()
    {
        foreach (DefaultObjectPool<object> pool in _walk == Walk.Random ? KeyedRentContender.Shuffled(_pools.Values, KeyedRentContender.WarmUpSeed) : [.. _pools.Values])
        {
            pool.Return(pool.Get());
        }

        return Task.CompletedTask;
    }

    protected override ValueTask RentManyAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            _next = _next + 1 < _names.Length ? _next + 1 : 0;
            if (_byName)
            {
                RentByName(_names[_next]);
            }
            else
            {
                RentByHandle(_handles[_next]);
            }
        }

        return default;
    }

    protected override Task HoldAsync(Worker worker) => throw new NotSupportedException("Compared briefly only.");

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RentByHandle(DefaultObjectPool<object> pool) => pool.Return(pool.Get());

    // Looked up twice, as the other dictionary is: who gives back knows the key, and not the pool.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RentByName(string name)
    {
        object item = _pools[name].Get();
        _pools[name].Return(item);
    }
}

/// <summary>The echo over many endpoints that lead to one server, one connection each; each worker has keys of its own, so nobody waits.</summary>
internal sealed class KeyedEchoContender : Contender
{
    private readonly string[] _names;
    private readonly int _workers;
    private readonly int[] _reached;
    private readonly PooledTcpClient _client;
    private TcpPool[] _handles = [];

    public KeyedEchoContender(IPEndPoint server, int keys, int workers)
        : base($"PooledTcp, {keys} keys")
    {
        _workers = workers;
        _reached = [.. Enumerable.Range(0, workers).Select(number => number % keys)];
        _names = KeyedRentContender.NamesOf(keys);
        PooledTcpOptions options = new();
        foreach (string name in _names)
        {
            options.AddEndpoint(name, endpoint =>
            {
                endpoint.Address = $"{server}";
                endpoint.IdleTimeout = TimeSpan.FromMinutes(10);
            });
        }

        _client = new PooledTcpClient(options);
    }

    public override async Task OpenAsync()
    {
        _handles = KeyedRentContender.Shuffled(_names.Select(_client.GetPool), KeyedRentContender.WalkSeed);
        foreach (TcpPool pool in KeyedRentContender.Shuffled(_handles, KeyedRentContender.WarmUpSeed))
        {
            await pool.WarmUpAsync(Math.Max(1, _workers / _handles.Length));
        }
    }

    public override async Task WorkAsync(Worker worker)
    {
        byte[] buffer = new byte[Wire.PayloadLength];

        // Goes on where it was: a slice is too short for the whole round.
        int key = _reached[worker.Number];
        while (worker.Goes)
        {
            key = key + _workers < _handles.Length ? key + _workers : worker.Number % _handles.Length;
            using TcpLease lease = await _handles[key].RentAsync();
            await lease.SendAsync(Wire.Echo.Request);
            int received = 0;
            while (received < buffer.Length)
            {
                int count = await lease.ReceiveAsync(buffer.AsMemory(received));
                received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
            }

            lease.Complete();
            worker.Done();
        }

        _reached[worker.Number] = key;
    }

    protected override ValueTask CloseAsync() => _client.DisposeAsync();
}
