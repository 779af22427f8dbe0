using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Pause and resume.</summary>
public sealed class PauseTests
{
    [Fact]
    public async Task Rents_wait_while_paused_and_are_served_oldest_first_at_resume()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        long[] ids = await pool.FillAsync(1);
        pool.Pool.Pause();
        Assert.Equal(TcpPoolState.Paused, pool.Now.State);
        Assert.False(pool.Pool.TryRent(out _));
        Task<TcpLease> first = pool.RentAsync();
        Task<TcpLease> second = pool.RentAsync();
        pool.AssertCounts(idle: 1, connecting: 0, waiting: 2);

        pool.Pool.Resume();
        TcpLease lease = await first;
        Assert.Equal(ids[0], lease.ConnectionId);
        Assert.False(second.IsCompleted);
        PoolHarness.Return(lease);
        await second;
        Assert.Equal(TcpPoolState.Open, pool.Now.State);
    }

    [Fact]
    public async Task Leases_go_on_while_paused_and_what_is_returned_stays_idle()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        pool.Pool.Pause();
        Task<TcpLease> waiting = pool.RentAsync();
        transport.Feed("more");
        Assert.Equal(4, await lease.ReceiveAsync(new byte[8]));
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1, used: 0, waiting: 1);

        pool.Pool.Resume();
        await waiting;
    }

    [Fact]
    public async Task A_dial_that_ends_while_paused_stays_idle()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        pool.Pool.Pause();
        dial.Open();
        await pool.UntilAsync(static now => now.Idle == 1);
        Assert.False(rent.IsCompleted);
        pool.Pool.Resume();
        await rent;
    }

    [Fact]
    public async Task Paused_rents_time_out_and_the_error_says_why()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        pool.Pool.Pause();
        Task<TcpLease> rent = pool.RentAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Contains("The pool is paused; call Resume().", (await Assert.ThrowsAsync<RentTimeoutException>(() => rent)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Resume_dials_for_those_who_wait()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 2));
        pool.Pool.Pause();
        Task<TcpLease>[] rents = [pool.RentAsync(), pool.RentAsync()];
        pool.AssertCounts(connecting: 0, waiting: 2);
        pool.Pool.Resume();
        foreach (FakeDial dial in await pool.Connector.NextAsync(2))
        {
            dial.Open();
        }

        await Task.WhenAll(rents);
    }

    [Fact]
    public async Task Clear_while_paused_closes_what_is_idle_and_dials_nothing()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(2);
        pool.Pool.Pause();
        Task<TcpLease> rent = pool.RentAsync();
        pool.Pool.Clear();
        pool.AssertCounts(idle: 0, connecting: 0, waiting: 1);
        pool.Pool.Resume();
        Assert.False((await rent).IsReused);
    }

    [Fact]
    public async Task A_full_queue_refuses_while_paused()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(waiters: 0));
        await pool.FillAsync(1);
        pool.Pool.Pause();
        await Assert.ThrowsAsync<PoolQueueFullException>(() => pool.RentAsync());
    }
}
