using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Several keys, several threads, one limit, everything at random; the books at the end.</summary>
public sealed class SharedCapStressTests
{
    private const int Keys = 5;
    private const int Max = 3;
    private const int Workers = 6;
    private const int StepsPerWorker = 200;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(131)]
    [InlineData(0)]
    public async Task Event_conservation_over_all_keys(int seed)
    {
        // 0: another one each time; the failure names it.
        seed = seed == 0 ? Random.Shared.Next() : seed;
        try
        {
            await RunAsync(seed);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"Failed with seed {seed}.", e);
        }
    }

    private static async Task RunAsync(int seed)
    {
        await using KeyedPools pools = new(Max, Keys, KeyedPools.LongSettings(max: 4));
        Random dialing = new(seed);
        foreach (KeyedPools.Key key in pools.Keys)
        {
            key.Connector.Automatic = _ =>
            {
                lock (dialing)
                {
                    return dialing.Next(20) switch
                    {
                        0 or 1 => throw new IOException("dial failed"),
                        < 8 => new FakeTransport { PeerHoldsOn = true },
                        _ => new FakeTransport(),
                    };
                }
            };
        }

        using CancellationTokenSource stop = new();
        Task clock = Task.Run(async () =>
        {
            Random random = new(seed + 1);
            while (!stop.IsCancellationRequested)
            {
                pools.Time.Advance(TimeSpan.FromMilliseconds(random.Next(30)));
                await Task.Yield();
            }
        });

        Task work = Task.WhenAll(Enumerable.Range(0, Workers).Select(w => Task.Run(() => WorkAsync(pools, new Random(unchecked(seed * 31) + w)))));
        await pools.UntilAsync(() => work.IsCompleted);
        await work;
        await stop.CancelAsync();
        await clock;

        await pools.WhileTurnsPassAsync(() => pools.Keys.All(static key => key.Now is { Used: 0, Connecting: 0, Closing: 0, Waiting: 0 }));
        await pools.UntilAsync(() => pools.Cap.Places is { Queued: 0 } places && places.Used == pools.Keys.Sum(static key => key.Now.Idle));
        Assert.False(pools.Cap.IsTight, pools.Describe());
        Assert.InRange(pools.Sockets.Peak, 1, Max);
        Assert.Equal(pools.Cap.Places.Used, pools.Sockets.Now);

        // And every key is still served.
        foreach (KeyedPools.Key key in pools.Keys)
        {
            key.Connector.Automatic = static _ => new FakeTransport();
            PoolHarness.Return(await pools.WhileTurnsPassAsync(key.RentAsync()));
        }
    }

    private static async Task WorkAsync(KeyedPools pools, Random random)
    {
        for (int step = 0; step < StepsPerWorker; step++)
        {
            KeyedPools.Key key = pools[random.Next(Keys)];
            if (random.Next(100) == 0)
            {
                key.Pool.Clear();
                continue;
            }

            using CancellationTokenSource cancel = new();
            try
            {
                ValueTask<TcpLease> rent = key.Pool.RentAsync(cancel.Token);
                if (random.Next(5) == 0)
                {
                    await cancel.CancelAsync();
                }

                TcpLease lease = await rent;
                if (random.Next(3) == 0)
                {
                    await Task.Yield();
                }

                if (random.Next(8) == 0)
                {
                    lease.Dispose();
                }
                else
                {
                    PoolHarness.Return(lease);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or EndpointUnavailableException)
            {
                // Cancelled, or its dial failed.
            }
        }
    }
}
