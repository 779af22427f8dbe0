using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>
/// No wake-up is lost: a rent joins the queue and then looks at idle, a return becomes idle and then looks at the queue.
/// Two threads meet there thousands of times; one lost wake-up hangs the test.
/// </summary>
public sealed class WakeUpTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task No_wake_up_is_lost_between_a_return_and_a_rent_that_joins_the_queue(int idleSlots)
    {
        // vitess 17662: lost between "look at idle" and "join the queue". No dial can help out: the limit is reached.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, rent: Timeout.InfiniteTimeSpan), idleSlots: idleSlots);
        TcpLease lease = await pool.RentAsync();
        using Barrier barrier = new(2);
        for (int round = 0; round < 2000; round++)
        {
            TcpLease returned = lease;
            returned.Complete();
            Task<TcpLease> rent = Task.Run(async () =>
            {
                barrier.SignalAndWait(PoolHarness.Hang);
                return await pool.RentAsync();
            });
            barrier.SignalAndWait(PoolHarness.Hang);
            returned.Dispose();
            lease = await rent;
        }

        lease.Dispose();
        Assert.Equal(1, pool.Connector.Dials);
    }

    [Fact]
    public async Task No_wake_up_is_lost_among_many()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 2, rent: Timeout.InfiniteTimeSpan), idleSlots: 2);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (int i = 0; i < 2000; i++)
            {
                TcpLease lease = await pool.RentAsync();
                PoolHarness.Return(lease);
            }
        }))).WaitAsync(TimeSpan.FromSeconds(30));
        // The second dial may have been left behind, and nobody waited for its end.
        await pool.UntilAsync(static now => now.Connecting == 0);
        pool.AssertCounts(idle: pool.Connector.Dials, used: 0, waiting: 0);
        Assert.InRange(pool.Connector.Dials, 1, 2);
    }

    [Fact]
    public async Task A_cancel_that_meets_the_hand_off_loses_no_connection()
    {
        // npgsql 1788, netty 17291: the connection was lost when cancel met hand-off.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, rent: Timeout.InfiniteTimeSpan), idleSlots: 1);
        using Barrier barrier = new(2);
        int served = 0;
        int cancelled = 0;
        for (int round = 0; round < 2000; round++)
        {
            TcpLease lease = await pool.RentAsync();
            lease.Complete();
            using CancellationTokenSource cancel = new();
            ValueTask<TcpLease> waiting = pool.Pool.RentAsync(cancel.Token);
            Task cancelling = Task.Run(() =>
            {
                barrier.SignalAndWait(PoolHarness.Hang);
                cancel.Cancel();
            });
            barrier.SignalAndWait(PoolHarness.Hang);
            lease.Dispose();
            try
            {
                PoolHarness.Return(await waiting.AsTask().WaitAsync(PoolHarness.Hang));
                served++;
            }
            catch (OperationCanceledException)
            {
                cancelled++;
            }

            await cancelling;
            await pool.UntilAsync(static now => now is { Idle: 1, Used: 0, Waiting: 0 });
        }

        Assert.Equal(2000, served + cancelled);
        Assert.Equal(1, pool.Connector.Dials);
    }

    [Fact]
    public async Task Concurrent_cancels_do_not_deadlock()
    {
        // corefx 32262: two callers cancelled at the same moment waited for each other.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, rent: Timeout.InfiniteTimeSpan));
        TcpLease lease = await pool.RentAsync();
        for (int round = 0; round < 200; round++)
        {
            CancellationTokenSource[] cancels = [.. Enumerable.Range(0, 8).Select(_ => new CancellationTokenSource())];
            Task<TcpLease>[] waiting = [.. cancels.Select(c => pool.RentAsync(c.Token))];
            await Task.WhenAll(cancels.Select(c => Task.Run(c.Cancel))).WaitAsync(PoolHarness.Hang);
            foreach (Task<TcpLease> rent in waiting)
            {
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => rent);
            }

            Array.ForEach(cancels, static c => c.Dispose());
        }

        pool.AssertCounts(used: 1, waiting: 0);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task An_expiry_that_meets_the_hand_off_loses_no_connection()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1), idleSlots: 1);
        using Barrier barrier = new(2);
        for (int round = 0; round < 2000; round++)
        {
            TcpLease lease = await pool.RentAsync(Timeout.InfiniteTimeSpan);
            lease.Complete();
            ValueTask<TcpLease> waiting = pool.Pool.RentAsync(TimeSpan.FromMilliseconds(10), CancellationToken.None);
            Task expiring = Task.Run(() =>
            {
                barrier.SignalAndWait(PoolHarness.Hang);
                pool.Time.Advance(TimeSpan.FromMilliseconds(10));
            });
            barrier.SignalAndWait(PoolHarness.Hang);
            lease.Dispose();
            try
            {
                PoolHarness.Return(await waiting.AsTask().WaitAsync(PoolHarness.Hang));
            }
            catch (RentTimeoutException)
            {
            }

            await expiring;
            await pool.UntilAsync(static now => now is { Idle: 1, Used: 0, Waiting: 0 });
        }

        Assert.Equal(1, pool.Connector.Dials);
    }

    [Fact]
    public async Task A_clear_that_meets_a_return_leaves_nothing_outdated_behind()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 2), idleSlots: 2);
        using Barrier barrier = new(2);
        for (int round = 0; round < 1500; round++)
        {
            TcpLease lease = await pool.RentAsync();
            lease.Complete();
            Task clearing = Task.Run(() =>
            {
                barrier.SignalAndWait(PoolHarness.Hang);
                pool.Pool.Clear();
            });
            barrier.SignalAndWait(PoolHarness.Hang);
            lease.Dispose();
            await clearing;
            Assert.Equal(0, pool.Now.Idle);
            Assert.Equal(0, pool.Connector.Live);
        }
    }

    [Fact]
    public async Task A_sweep_that_meets_rents_and_returns_loses_nothing()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 4, rent: Timeout.InfiniteTimeSpan), idleSlots: 1);
        using CancellationTokenSource stop = new();
        Task sweeping = Task.Run(() =>
        {
            for (int round = 0; !stop.IsCancellationRequested; round++)
            {
                if (round % 10 == 0)
                {
                    pool.Pool.Clear();
                }

                pool.Core.Maintain(TimeSpan.FromMinutes(round), out _);
            }
        });
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(async () =>
        {
            for (int i = 0; i < 1000; i++)
            {
                PoolHarness.Return(await pool.RentAsync());
            }
        }))).WaitAsync(TimeSpan.FromSeconds(30));
        await stop.CancelAsync();
        await sweeping.WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now is { Connecting: 0, Closing: 0, Used: 0 });
        pool.AssertCounts(used: 0, waiting: 0);
    }
}
