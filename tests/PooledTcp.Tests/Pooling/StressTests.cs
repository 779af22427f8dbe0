using System.Collections.Concurrent;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>
/// Everything at once, at random, on several threads, with the books checked at the end: opened = closed + live, lent =
/// returned, nobody left waiting, no connection with two callers, none of a cleared generation.
/// </summary>
public sealed class StressTests
{
    private const int Workers = 6;
    private const int StepsPerWorker = 1500;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(20_310)]
    [InlineData(1788)]
    [InlineData(0)]
    public async Task Event_conservation(int seed)
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
        await using PoolHarness pool = new(PoolHarness.Settings(max: 4, connecting: 3, waiters: 50), idleSlots: 1 + (seed % 3), background: seed % 2 == 0);
        Random dialing = new(seed);
        pool.Connector.Automatic = _ =>
        {
            lock (dialing)
            {
                return dialing.Next(20) switch
                {
                    0 or 1 => throw new IOException("dial failed"),
                    2 => throw new PooledTcp.Ports.NoLocalPortException("64 of 64 taken", null),

                    // Closes take DrainTimeout, unless a waiter hurries them.
                    < 8 => new FakeTransport { PeerHoldsOn = true, LeftTimeWait = dialing.Next(2) == 0 },
                    _ => new FakeTransport(),
                };
            }
        };
        Books books = new();
        using CancellationTokenSource stop = new();
        Task clock = Task.Run(async () =>
        {
            // Fake time runs, so that rents, connects, idle times and lifetimes end at any moment.
            Random random = new(seed + 1);
            while (!stop.IsCancellationRequested)
            {
                pool.Time.Advance(TimeSpan.FromMilliseconds(random.Next(200)));
                if (seed % 2 != 0)
                {
                    pool.Maintain();
                }

                await Task.Yield();
            }
        });

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(w => Task.Run(() => WorkAsync(pool, books, new Random(unchecked(seed * 31) + w)))))
            .WaitAsync(TimeSpan.FromSeconds(60));
        await stop.CancelAsync();
        await clock.WaitAsync(PoolHarness.Hang);

        await pool.StopMaintenanceAsync();

        // Dials that were left behind end by themselves, and connects that succeeded after their dial was given up are
        // closed a moment later.
        await PoolHarness.UntilAsync(
            () =>
            {
                pool.Time.Advance(TimeSpan.FromMilliseconds(100));
                return pool.Now is { Connecting: 0, Closing: 0, Used: 0, Waiting: 0 };
            },
            () => pool.Now.ToString());
        await pool.UntilAsync(now => pool.Connector.Live == now.Created - now.Closed);
        pool.AssertCounts(used: 0, connecting: 0, waiting: 0);
        TcpPoolSnapshot now = pool.Now;
        Assert.Equal(books.Lent, books.Returned);
        Assert.Equal(books.RentsStarted, books.Lent + books.RentsFailed);
        Assert.Equal(pool.Connector.Opened, pool.Connector.ClosedCount + pool.Connector.Live);
        Assert.Equal(now.Created - now.Closed, pool.Connector.Live);
        Assert.Equal(now.Closed, now.ClosedByReason.Values.Sum());
        Assert.Equal(books.TimedOut, now.RentTimeouts);
        Assert.Empty(books.Held);

        // And the pool still serves.
        pool.Connector.Automatic = static _ => new FakeTransport();
        pool.Pool.Resume();

        // The last dial may have found no port, or the last ones opened the breaker: that ends with time, which has to go on,
        // since the one who found it may arm the timer only now. It may end a dial, too; then the next one serves.
        TcpLease? served = null;
        while (served is null)
        {
            Task<TcpLease> rent = pool.RentAsync(Timeout.InfiniteTimeSpan);
            await PoolHarness.UntilAsync(() =>
            {
                pool.Time.Advance(TimeSpan.FromMilliseconds(10));
                return rent.IsCompleted;
            });
            served = rent.IsCompletedSuccessfully ? await rent : null;
        }

        PoolHarness.Return(served.Value);
        Task drained = pool.Core.DrainAsync();
        await PoolHarness.UntilAsync(() =>
        {
            pool.Time.Advance(TimeSpan.FromMilliseconds(100));
            return drained.IsCompleted && pool.Connector.Live == 0;
        });
        TcpPoolSnapshot end = pool.Now;
        Assert.Equal(end.Created, end.Closed);
        Assert.Equal(end.Closed, end.ClosedByMethod.Values.Sum());
        Assert.All(pool.Connector.Transports, static t => Assert.Equal(1, t.Closings));
    }

    private static async Task WorkAsync(PoolHarness pool, Books books, Random random)
    {
        for (int step = 0; step < StepsPerWorker; step++)
        {
            switch (random.Next(100))
            {
                case 0:
                    long ticket = books.ClearStarts();
                    pool.Pool.Clear(interruptLeases: random.Next(2) == 0);
                    books.ClearReturned(ticket);
                    break;
                case 1:
                    pool.Core.Apply(PoolHarness.Settings(max: random.Next(1, 6), connecting: random.Next(1, 4), minIdle: random.Next(2), waiters: 50, maxUses: random.Next(1, 100)));
                    break;
                case 2:
                    pool.Pool.Pause();
                    await Task.Yield();
                    pool.Pool.Resume();
                    break;
                default:
                    await RentOnceAsync(pool, books, random);
                    break;
            }
        }
    }

    private static async Task RentOnceAsync(PoolHarness pool, Books books, Random random)
    {
        TcpLease lease;
        using CancellationTokenSource cancel = new();
        long cleared = books.LastCleared;
        Interlocked.Increment(ref books.RentsStarted);
        try
        {
            ValueTask<TcpLease> rent = random.Next(2) == 0
                ? pool.Pool.RentAsync(cancel.Token)
                : pool.Pool.RentAsync(TimeSpan.FromMilliseconds(random.Next(300)), cancel.Token);
            if (random.Next(4) == 0)
            {
                await cancel.CancelAsync();
            }

            lease = await rent;
        }
        catch (Exception e) when (e is OperationCanceledException or PooledTcpException)
        {
            Interlocked.Increment(ref books.RentsFailed);
            if (e is RentTimeoutException or LocalPortsExhaustedException)
            {
                Interlocked.Increment(ref books.TimedOut);
            }

            return;
        }

        Interlocked.Increment(ref books.Lent);
        long id = lease.ConnectionId;
        Assert.True(books.Held.TryAdd(id, 0), "One connection, two callers.");
        books.AssertNotOutdated(id, cleared);
        if (random.Next(3) == 0)
        {
            await Task.Yield();
        }

        books.Seen(id);
        Assert.True(books.Held.TryRemove(id, out _));
        Interlocked.Increment(ref books.Returned);
        switch (random.Next(8))
        {
            case 0:
                lease.Dispose();
                break;
            case 1:
                lease.Discard();
                break;
            case 2:
                PoolHarness.Return(lease);
                lease.Dispose();
                break;
            default:
                PoolHarness.Return(lease);
                break;
        }
    }

    private sealed class Books
    {
        public long RentsStarted;
        public long RentsFailed;
        public long TimedOut;
        public long Lent;
        public long Returned;
        private readonly ConcurrentDictionary<long, long> _seen = new();
        private long _clearsStarted;
        private long _lastCleared;

        public ConcurrentDictionary<long, byte> Held { get; } = new();

        /// <summary>The latest-started Clear of those that have returned.</summary>
        public long LastCleared => Interlocked.Read(ref _lastCleared);

        public long ClearStarts() => Interlocked.Increment(ref _clearsStarted);

        public void ClearReturned(long ticket)
        {
            long last = LastCleared;
            while (ticket > last && Interlocked.CompareExchange(ref _lastCleared, ticket, last) != last)
            {
                last = LastCleared;
            }
        }

        /// <summary>The connection is open now: every Clear that starts later ends it.</summary>
        public void Seen(long id) => _seen[id] = Interlocked.Read(ref _clearsStarted);

        public void AssertNotOutdated(long id, long lastClearedBeforeRent)
        {
            if (_seen.TryGetValue(id, out long clearsStarted))
            {
                Assert.True(lastClearedBeforeRent <= clearsStarted, $"Connection {id} was lent by a rent that began after a Clear of it had returned.");
            }
        }
    }
}
