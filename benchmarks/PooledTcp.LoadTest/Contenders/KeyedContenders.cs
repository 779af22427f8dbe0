using System.Net;
using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>One caller that goes round many keys in random order, one warm connection each, without I/O.</summary>
internal sealed class KeyedRentContender : RentContender
{
    public const int WalkSeed = 42;
    public const int WarmUpSeed = 7;

    private readonly string[] _names;
    private readonly bool _byName;
    private readonly PooledTcpClient _client;
    private TcpPool[] _handles = [];
    private int _next;

    /// <param name="keys">How many there are.</param>
    /// <param name="byName">Or by handle.</param>
    /// <param name="round">Of so many steps, whatever the number of keys: the way through the caller's own list is not the pool's.</param>
    public KeyedRentContender(int keys, bool byName, int round)
        : base(byName ? $"PooledTcp by name, {keys} keys" : $"PooledTcp by handle, {keys} keys", Holding.Briefly)
    {
        _byName = byName;
        string[] walk = Shuffled(NamesOf(keys), WalkSeed);
        _names = [.. Enumerable.Range(0, round).Select(step => walk[step % keys])];
        _client = NullClient.Create(NamesOf(keys), static endpoint => endpoint.MaxConnections = 1);
    }

    /// <summary>
    /// In the order in which they are configured. Walked in that order, each rent would find the memory of its key beside that of the last
    /// one, and the processor would have fetched it already.
    /// </summary>
    public static string[] NamesOf(int keys) => [.. Enumerable.Range(0, keys).Select(static i => $"key-{i}")];

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
        foreach (TcpPool pool in Shuffled(_handles.Distinct(), WarmUpSeed))
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

/// <summary>A dictionary of hand-written pools, on the same round.</summary>
internal sealed class KeyedSemaphoreRoundContender(int keys) : RentContender($"keyed SemaphoreSlim + stack, {keys} keys", Holding.Briefly)
{
    private readonly string[] _names = KeyedRentContender.Shuffled(KeyedRentContender.NamesOf(keys), KeyedRentContender.WalkSeed);
    private readonly KeyedSemaphoreStackPool<object> _pool = new(1, static () => new(new object()));
    private int _next;

    public override async Task OpenAsync()
    {
        foreach (string name in KeyedRentContender.Shuffled(_names, KeyedRentContender.WarmUpSeed))
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

/// <summary>The echo over many endpoints that lead to one server, one connection each; each worker has keys of its own, so nobody waits.</summary>
internal sealed class KeyedEchoContender : Contender
{
    private readonly string[] _names;
    private readonly int _workers;
    private readonly PooledTcpClient _client;
    private TcpPool[] _handles = [];

    public KeyedEchoContender(IPEndPoint server, int keys, int workers)
        : base($"PooledTcp, {keys} keys")
    {
        _workers = workers;
        _names = KeyedRentContender.NamesOf(keys);
        PooledTcpOptions options = new();
        foreach (string name in _names)
        {
            options.AddEndpoint(name, endpoint =>
            {
                endpoint.Address = $"{server}";
                endpoint.MaxConnections = Math.Max(1, workers / keys);
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
        int key = worker.Number % _handles.Length;
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
    }

    protected override ValueTask CloseAsync() => _client.DisposeAsync();
}
