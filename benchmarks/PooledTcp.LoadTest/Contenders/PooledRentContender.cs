using System.Net;
using System.Runtime.CompilerServices;
using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>How a rent names its pool, and how the caller takes the result.</summary>
internal enum RentStyle
{
    /// <summary><see cref="TcpPool.TryRent"/>.</summary>
    Try,

    /// <summary>RentAsync, whose result is there at once and is read without an await.</summary>
    Synchronous,

    /// <summary>As callers write it: an async method that awaits the rent.</summary>
    Awaited,

    /// <summary>The same, with the endpoint's name.</summary>
    AwaitedByName,

    /// <summary>The same, with an address.</summary>
    AwaitedByEndPoint,
}

/// <summary>The full pool over connections without sockets.</summary>
/// <param name="connections">That are warm.</param>
/// <param name="holding">See there.</param>
/// <param name="style">See there.</param>
/// <param name="limited">To as many connections; or MaxConnections is left at its default.</param>
internal sealed class PooledRentContender(int connections, Holding holding, RentStyle style = RentStyle.Awaited, bool limited = true) : RentContender(NameOf(style), holding)
{
    private const string Endpoint = "cache";

    private static readonly IPEndPoint Address = new(IPAddress.Loopback, 1);

    // By name beside another one: with a single endpoint the client would look nothing up, and the hand-written pools do.
    private readonly PooledTcpClient _client = NullClient.Create(style == RentStyle.AwaitedByName ? [Endpoint, "queue"] : [Endpoint], endpoint =>
    {
        if (limited)
        {
            endpoint.MaxConnections = connections;
        }

        endpoint.MaxWaiters = 100_000;
    });

    private TcpPool _pool = null!;

    /// <summary>Of connections, for hand-written pools beside one whose limit is not set.</summary>
    public static int DefaultLimit { get; } = new TcpEndpointOptions().MaxConnections;

    public static string NameOf(RentStyle style) => style switch
    {
        RentStyle.Try => "PooledTcp, TryRent",
        RentStyle.Synchronous => "PooledTcp, synchronous consumer",
        RentStyle.AwaitedByName => "PooledTcp by name",
        RentStyle.AwaitedByEndPoint => "PooledTcp by address",
        _ => "PooledTcp",
    };

    public override Task OpenAsync()
    {
        _pool = style == RentStyle.AwaitedByEndPoint ? _client.GetPool(Address) : _client.GetPool(Endpoint);
        return _pool.WarmUpAsync(connections);
    }

    protected override ValueTask CloseAsync() => _client.DisposeAsync();

    protected override ValueTask RentManyAsync()
    {
        switch (style)
        {
            case RentStyle.Try:
                for (int i = 0; i < Batch; i++)
                {
                    TryRentOne();
                }

                return default;
            case RentStyle.Synchronous:
                for (int i = 0; i < Batch; i++)
                {
                    RentOne();
                }

                return default;
            case RentStyle.AwaitedByName:
                return RentManyByNameAsync();
            case RentStyle.AwaitedByEndPoint:
                return RentManyByEndPointAsync();
            default:
                return RentManyByHandleAsync();
        }
    }

    protected override async Task HoldAsync(Worker worker)
    {
        while (worker.Goes)
        {
            using TcpLease lease = await _pool.RentAsync();
            await Task.Yield();
            lease.Complete();
            worker.Done();
        }
    }

    private async ValueTask RentManyByHandleAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            await RentOneAsync();
        }
    }

    private async ValueTask RentManyByNameAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            await RentOneByNameAsync();
        }
    }

    private async ValueTask RentManyByEndPointAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            await RentOneByEndPointAsync();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void TryRentOne()
    {
        if (_pool.TryRent(out TcpLease lease))
        {
            lease.Complete();
            lease.Dispose();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RentOne()
    {
        // Without a finally, as the floor.
        ValueTask<TcpLease> rent = _pool.RentAsync();
        TcpLease lease = rent.IsCompletedSuccessfully ? rent.Result : WaitFor(rent);
        lease.Complete();
        lease.Dispose();
    }

    // Not where it is used: the task would have to lie in memory for this, also when it is not needed.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static TcpLease WaitFor(ValueTask<TcpLease> rent) => rent.AsTask().GetAwaiter().GetResult();

    private async ValueTask RentOneAsync()
    {
        using TcpLease lease = await _pool.RentAsync();
        lease.Complete();
    }

    private async ValueTask RentOneByNameAsync()
    {
        using TcpLease lease = await _client.RentAsync(Endpoint);
        lease.Complete();
    }

    private async ValueTask RentOneByEndPointAsync()
    {
        using TcpLease lease = await _client.RentAsync(Address);
        lease.Complete();
    }
}
