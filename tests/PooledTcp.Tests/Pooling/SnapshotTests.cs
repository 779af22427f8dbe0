using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>The counts at every step, and what the snapshot and the errors say.</summary>
public sealed class SnapshotTests
{
    [Fact]
    public async Task Rents_tell_who_waited_and_who_was_refused()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, waiters: 1));
        await pool.FillAsync(1);
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        await Assert.ThrowsAsync<PoolQueueFullException>(() => pool.RentAsync());
        PoolHarness.Return(lease);
        PoolHarness.Return(await waiting);
        using CancellationTokenSource leave = new();
        lease = await pool.RentAsync();
        Task<TcpLease> left = pool.RentAsync(leave.Token);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        PoolHarness.Return(lease);

        // The first waited for its dial, the third for the second's return; who left waited in vain.
        Assert.Equal((4, 2, 1, 3), (pool.Now.Rents, pool.Now.RentsWaited, pool.Now.RentsRefused, pool.Now.WaitTime.Count));
    }

    [Fact]
    public async Task A_rent_that_an_open_breaker_refused_counts_as_refused()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(failuresToOpen: 1));
        Task<TcpLease> rent = pool.RentAsync();
        (await pool.Connector.NextAsync()).Fail(new IOException("gone"));
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.RentAsync());
        Assert.Equal((0, 1), (pool.Now.Rents, pool.Now.RentsRefused));
    }

    [Fact]
    public async Task Idle_used_connecting_and_closing_sum_to_the_live_connections_at_every_step()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 3, connecting: 2));
        pool.AssertCounts(idle: 0, used: 0, connecting: 0, waiting: 0);
        Task<TcpLease>[] rents = new Task<TcpLease>[4];
        FakeDial[] dials = new FakeDial[2];
        for (int i = 0; i < rents.Length; i++)
        {
            rents[i] = pool.RentAsync();
            pool.AssertCounts(idle: 0, used: 0, connecting: Math.Min(i + 1, 2), waiting: i + 1);
            if (i < dials.Length)
            {
                // One by one: dials that are launched together start in any order.
                dials[i] = await pool.Connector.NextAsync();
            }
        }

        FakeTransport first = dials[0].Open();
        TcpLease lease = await rents[0];
        pool.AssertCounts(used: 1, connecting: 2, waiting: 3);
        dials[1].Fail();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rents[1]);
        pool.AssertCounts(used: 1, connecting: 2, waiting: 2);
        foreach (FakeDial dial in await pool.Connector.NextAsync(2))
        {
            dial.Open();
        }

        await rents[2];
        TcpLease last = await rents[3];
        pool.AssertCounts(used: 3, connecting: 0, waiting: 0);
        lease.Dispose();
        Assert.True(first.IsClosed);
        pool.AssertCounts(idle: 0, used: 2);
        PoolHarness.Return(last);
        pool.AssertCounts(idle: 1, used: 1);
        pool.Pool.Clear(interruptLeases: true);
        pool.AssertAfterInterrupt(used: 1);
        (await rents[2]).Dispose();
        pool.AssertCounts(idle: 0, used: 0, connecting: 0, waiting: 0);
    }

    [Fact]
    public async Task A_snapshot_tells_the_pools_history()
    {
        await using PoolHarness pool = new();
        Task<TcpLease> failing = pool.RentAsync();
        IOException cause = new("refused");
        (await pool.Connector.NextAsync()).Fail(cause);
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => failing);
        (TcpLease abandoned, _) = await pool.DialAsync();
        abandoned.Dispose();
        (TcpLease kept, _) = await pool.DialAsync();
        PoolHarness.Return(kept);

        TcpPoolSnapshot now = pool.Now;
        Assert.Equal("fake", now.Name);
        Assert.Equal(TcpPoolState.Open, now.State);
        Assert.Equal(2, now.Created);
        Assert.Equal(1, now.Closed);
        Assert.Equal(1, now.DialsFailed);
        Assert.Equal(0, now.RentTimeouts);
        Assert.Same(cause, now.LastConnectError);
        Assert.Equal("abandoned", Assert.Single(now.ClosedByReason).Key);
        Assert.Equal(4, now.MaxConnections);
    }

    [Fact]
    public async Task No_count_is_ever_negative_while_everything_happens_at_once()
    {
        // PostgREST 4622: a pool gauge at -5.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 3), idleSlots: 2);
        using CancellationTokenSource stop = new();
        Task watching = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                TcpPoolSnapshot now = pool.Now;
                Assert.True(now.Idle >= 0 && now.Used >= 0 && now.Connecting >= 0 && now.Closing >= 0 && now.Closed >= 0, now.ToString());
                Assert.True(now.Idle + now.Used + now.Connecting + now.Closing <= 3, now.ToString());
            }
        });
        await Task.WhenAll(Enumerable.Range(0, 3).Select(worker => Task.Run(async () =>
        {
            for (int i = 0; i < 2000; i++)
            {
                TcpLease lease = await pool.RentAsync();
                if ((i + worker) % 5 != 0)
                {
                    lease.Complete();
                }

                lease.Dispose();
            }
        }))).WaitAsync(TimeSpan.FromSeconds(30));
        await stop.CancelAsync();
        await watching.WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now is { Used: 0, Connecting: 0, Closing: 0 });
        pool.AssertCounts(used: 0, connecting: 0, waiting: 0);
    }

    [Fact]
    public async Task The_rent_timeout_of_a_busy_pool_names_the_settings_and_carries_no_old_cause()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        Task<TcpLease> failing = pool.RentAsync();
        (await pool.Connector.NextAsync()).Fail();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => failing);
        await pool.DialAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        RentTimeoutException e = await Assert.ThrowsAsync<RentTimeoutException>(() => waiting);
        Assert.Contains("Raise MaxConnections", e.Message, StringComparison.Ordinal);
        Assert.Contains("RentTimeout", e.Message, StringComparison.Ordinal);
        Assert.Null(e.InnerException);
    }
}
