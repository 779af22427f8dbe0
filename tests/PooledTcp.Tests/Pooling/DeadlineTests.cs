using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>One deadline for everything a rent does.</summary>
public sealed class DeadlineTests
{
    /// <summary>The deadline's timer flows nobody's context; a caller that does not let it flow itself may wait all the same.</summary>
    [Fact]
    public async Task A_caller_that_suppresses_the_flow_may_wait()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> rent;
        using (ExecutionContext.SuppressFlow())
        {
            rent = pool.Pool.RentAsync().AsTask();
        }

        PoolHarness.Return(lease);
        PoolHarness.Return(await rent.WaitAsync(PoolHarness.Hang));
    }

    [Fact]
    public async Task RentTimeout_covers_waiting_for_a_return()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> waiting = pool.RentAsync();

        pool.Time.Advance(TimeSpan.FromSeconds(4.9));
        pool.AssertCounts(waiting: 1);
        pool.Time.Advance(TimeSpan.FromSeconds(0.1));

        RentTimeoutException e = await Assert.ThrowsAsync<RentTimeoutException>(() => waiting);
        Assert.Equal(TimeSpan.FromSeconds(5), e.Timeout);
        Assert.Contains("within 5 s (idle 0, used 1, connecting 0, closing 0, waiting 0, MaxConnections 1)", e.Message, StringComparison.Ordinal);
        Assert.Contains("Raise MaxConnections", e.Message, StringComparison.Ordinal);
        Assert.Equal(1, pool.Now.RentTimeouts);

        // An expired waiter never receives.
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1, used: 0, waiting: 0);
    }

    [Fact]
    public async Task RentTimeout_covers_dialing_and_handshake()
    {
        TaskCompletionSource<object?> login = new();
        await using PoolHarness pool = new(
            PoolHarness.Settings(connect: TimeSpan.FromSeconds(60)),
            new() { Handshake = async (_, token) => await login.Task.WaitAsync(token) });
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(3));
        FakeTransport transport = dial.Open();
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        await Assert.ThrowsAsync<RentTimeoutException>(() => rent);

        // The dial belongs to the pool and goes on.
        Assert.False(transport.IsClosed);
        login.SetResult(null);
        await pool.UntilAsync(static now => now.Idle == 1);
    }

    [Fact]
    public async Task RentAsync_with_a_timeout_replaces_RentTimeout()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> longer = pool.RentAsync(TimeSpan.FromSeconds(60));
        Task<TcpLease> usual = pool.RentAsync();
        Task<TcpLease> shorter = pool.RentAsync(TimeSpan.FromSeconds(1));
        Task<TcpLease> forever = pool.RentAsync(Timeout.InfiniteTimeSpan);

        pool.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Contains("within 1 s", (await Assert.ThrowsAsync<RentTimeoutException>(() => shorter)).Message, StringComparison.Ordinal);
        pool.AssertCounts(waiting: 3);
        pool.Time.Advance(TimeSpan.FromSeconds(4));
        await Assert.ThrowsAsync<RentTimeoutException>(() => usual);
        pool.Time.Advance(TimeSpan.FromSeconds(55));
        await Assert.ThrowsAsync<RentTimeoutException>(() => longer);
        pool.Time.Advance(TimeSpan.FromDays(30));
        pool.AssertCounts(waiting: 1);

        PoolHarness.Return(lease);
        await forever;
    }

    [Fact]
    public async Task A_zero_timeout_takes_what_is_idle_and_waits_for_nothing()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        await pool.FillAsync(1);
        TcpLease lease = await pool.RentAsync(TimeSpan.Zero);

        Task<TcpLease> second = pool.RentAsync(TimeSpan.Zero);
        pool.Time.Advance(TimeSpan.FromMilliseconds(1));
        await Assert.ThrowsAsync<RentTimeoutException>(() => second);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task A_timeout_out_of_range_is_refused()
    {
        await using PoolHarness pool = new();
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => pool.RentAsync(TimeSpan.FromMilliseconds(-2)));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => pool.RentAsync(TimeSpan.FromDays(25)));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => pool.RentAsync(TimeSpan.MaxValue));
        pool.AssertCounts(waiting: 0, connecting: 0);
    }

    [Fact]
    public async Task Thousands_of_expired_waiters_do_not_keep_the_next_from_being_served()
    {
        // vitess 20310: 19,177 waiters, every connection handed to one that had already expired.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, waiters: 20_000));
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease>[] expiring = [.. Enumerable.Range(0, 19_177).Select(_ => pool.RentAsync())];
        pool.Time.Advance(TimeSpan.FromSeconds(4));
        Task<TcpLease> alive = pool.RentAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(1));

        foreach (Task<TcpLease> rent in expiring)
        {
            await Assert.ThrowsAsync<RentTimeoutException>(() => rent);
        }

        pool.AssertCounts(waiting: 1);
        PoolHarness.Return(lease);
        PoolHarness.Return(await alive);
        Assert.Equal(19_177, pool.Now.RentTimeouts);
    }

    [Fact]
    public async Task Callers_do_not_wait_out_a_timeout_each_in_turn()
    {
        // runtime 114957: each caller waited out its own 4 s after the one before it.
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 1, connect: TimeSpan.FromSeconds(4)));
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 5).Select(_ => pool.RentAsync())];
        await pool.Connector.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(4));
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rents[0]);
        await pool.Connector.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(1));
        foreach (Task<TcpLease> rent in rents[1..])
        {
            await Assert.ThrowsAsync<RentTimeoutException>(() => rent);
        }
    }

    [Fact]
    public async Task A_timeout_tells_the_last_dial_error()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 1));
        Task<TcpLease> first = pool.RentAsync();
        Task<TcpLease> second = pool.RentAsync();
        (await pool.Connector.NextAsync()).Fail(new IOException("refused by fake"));
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => first);
        pool.Time.Advance(TimeSpan.FromSeconds(2.5));
        await pool.Connector.NextAsync();
        pool.Core.Apply(PoolHarness.Settings(connecting: 1, connect: TimeSpan.FromHours(1)));
        pool.Pool.Clear();
        await pool.Connector.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(2.5));

        RentTimeoutException e = await Assert.ThrowsAsync<RentTimeoutException>(() => second);
        Assert.Contains("last dial error 5 s ago: refused by fake", e.Message, StringComparison.Ordinal);
        Assert.Contains("check the endpoint 10.0.0.1:7000", e.Message, StringComparison.Ordinal);
        Assert.Equal("refused by fake", e.InnerException!.Message);
    }
}
