using CsCheck;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>
/// Whatever happens in whatever order on several pools: never more sockets than places, nobody waits while a place is free,
/// and everything ends.
/// </summary>
public sealed class SharedCapProperties
{
    private const int Keys = 4;

    private static readonly Gen<(Step Kind, int Key, int Value)[]> AnySteps = Gen.Select(
        Gen.Frequency(
            (8, Gen.Const(Step.Rent)), (5, Gen.Const(Step.Return)), (2, Gen.Const(Step.Discard)), (2, Gen.Const(Step.Cancel)), (3, Gen.Const(Step.Turn)),
            (1, Gen.Enum<Step>())),
        Gen.Int[0, Keys - 1],
        Gen.Int[0, 99]).Array[1, 60];

    private enum Step
    {
        Rent,
        Return,
        Discard,
        Cancel,
        Turn,
        Clear,
        Pause,
        Resume,
        Resize,
        WarmUp,
        Limit,
    }

    [Fact]
    public Task Never_above_the_limit_and_nobody_waits_for_nothing() =>
        Gen.Select(AnySteps, Gen.Int[1, 5]).SampleAsync(static test => RunAsync(test.Item1, test.Item2), iter: 500, threads: 2);

    private static async Task RunAsync((Step Kind, int Key, int Value)[] steps, int max)
    {
        await using KeyedPools pools = new(max, Keys, KeyedPools.LongSettings(max: 3));
        Random dialing = new(steps.Length);
        foreach (KeyedPools.Key key in pools.Keys)
        {
            key.Connector.Automatic = _ =>
            {
                lock (dialing)
                {
                    return dialing.Next(8) switch
                    {
                        0 => throw new IOException("dial failed"),

                        // It closes after DrainTimeout, unless somebody hurries it.
                        1 or 2 => new FakeTransport { PeerHoldsOn = true },
                        _ => new FakeTransport(),
                    };
                }
            };
        }

        Books books = new();
        int bound = max;
        foreach ((Step kind, int key, int value) in steps)
        {
            switch (kind)
            {
                case Step.Resize:
                    max = 1 + (value % 6);
                    pools.Cap.Resize(max);
                    bound = Math.Max(bound, max);
                    break;
                default:
                    await StepAsync(pools, books, kind, key, value);
                    break;
            }

            Assert.InRange(pools.Sockets.Peak, 0, bound);
            if (bound > max && pools.Cap.Places.Used <= max)
            {
                // The lowered limit is reached, dials that are about to start included.
                pools.Sockets.Restart();
                bound = max;
            }

            await pools.UntilAsync(() => !IsSomebodyStranded(pools));
        }

        await EndAsync(pools, books);
        Assert.InRange(pools.Sockets.Peak, 0, bound);
        Assert.InRange(pools.Cap.Places.Used, 0, max);
    }

    private static async Task StepAsync(KeyedPools pools, Books books, Step kind, int index, int value)
    {
        KeyedPools.Key key = pools[index];
        switch (kind)
        {
            case Step.Rent:
                CancellationTokenSource leaves = new();
                books.Rents.Add((key.RentAsync(leaves.Token), leaves));
                break;
            case Step.Return or Step.Discard:
                await books.EndOneAsync(value, discard: kind == Step.Discard);
                break;
            case Step.Cancel when books.Rents.Count > 0:
                await books.Rents[value % books.Rents.Count].Leaves.CancelAsync();
                break;
            case Step.Turn:
                pools.Time.Advance(TimeSpan.FromMilliseconds(value));
                break;
            case Step.Clear:
                key.Pool.Clear(interruptLeases: value % 2 == 0);
                break;
            case Step.Pause:
                key.Pool.Pause();
                break;
            case Step.Resume:
                key.Pool.Resume();
                break;
            case Step.WarmUp:
                books.WarmUps.Add(key.Pool.WarmUpAsync(1, books.End.Token));
                break;
            case Step.Limit:
                key.Core.Apply(KeyedPools.LongSettings(max: 1 + (value % 4), minIdle: value % 2));
                key.Core.Maintain(pools.Services.Clock.Read(), out _);
                break;
        }
    }

    private static async Task EndAsync(KeyedPools pools, Books books)
    {
        foreach (KeyedPools.Key key in pools.Keys)
        {
            key.Connector.Automatic = static _ => new FakeTransport();
            key.Pool.Resume();
        }

        await pools.WhileTurnsPassAsync(() =>
        {
            books.EndAll();
            return books.Rents.Count == 0;
        });
        await books.End.CancelAsync();
        await Task.WhenAny(Task.WhenAll(books.WarmUps)).WaitAsync(PoolHarness.Hang);
        await pools.WhileTurnsPassAsync(() => pools.Keys.All(static key => key.Now is { Used: 0, Connecting: 0, Closing: 0, Waiting: 0 }));
        await pools.UntilAsync(() => pools.Cap.Places is { Queued: 0 } places && places.Used == pools.Keys.Sum(static key => key.Now.Idle));
        Assert.False(pools.Cap.IsTight, pools.Describe());
    }

    private static bool IsSomebodyStranded(KeyedPools pools) =>
        pools.Cap.Places is { } places && places.Used < places.Max && pools.Keys.Any(static key =>
            key.Now is { State: TcpPoolState.Open } now
            && now.Waiting > now.Connecting
            && now.Connecting < 4
            && now.Used + now.Idle + now.Connecting + now.Closing < now.MaxConnections);

    private sealed class Books
    {
        public List<(Task<TcpLease> Lease, CancellationTokenSource Leaves)> Rents { get; } = [];

        public List<Task> WarmUps { get; } = [];

        public CancellationTokenSource End { get; } = new();

        public async Task EndOneAsync(int value, bool discard)
        {
            if (Rents.FindAll(static r => r.Lease.IsCompleted) is { Count: > 0 } done)
            {
                (Task<TcpLease>, CancellationTokenSource) one = done[value % done.Count];
                Rents.Remove(one);
                await EndAsync(one.Item1, discard);
                one.Item2.Dispose();
            }
        }

        public void EndAll()
        {
            foreach ((Task<TcpLease> lease, CancellationTokenSource leaves) in Rents.FindAll(static r => r.Lease.IsCompleted))
            {
                Rents.Remove((lease, leaves));
                _ = EndAsync(lease, discard: false);
                leaves.Dispose();
            }
        }

        private static async Task EndAsync(Task<TcpLease> rent, bool discard)
        {
            try
            {
                TcpLease lease = await rent;
                if (discard)
                {
                    lease.Discard();
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
