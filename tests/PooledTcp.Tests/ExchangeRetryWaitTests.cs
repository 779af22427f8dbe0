using PooledTcp.Configuration;
using PooledTcp.Tests.Fakes;
using Xunit;
using static PooledTcp.Tests.Fakes.ReusedExchange;

namespace PooledTcp.Tests;

/// <summary>The new connection that a retry waits for: where it comes from, who may take it, and what ends the wait.</summary>
public sealed class ExchangeRetryWaitTests
{
    [Fact]
    public async Task The_retry_takes_neither_an_idle_connection_nor_one_that_comes_back()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        _ = await pool.FillAsync(3);
        pool.Connector.Automatic = null;
        TcpLease held = await pool.RentAsync();
        FakeTransport top = pool.Connector.Transports.ElementAt(1);
        top.Fault = Reset();
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        FakeDial dial = await pool.Connector.NextAsync();
        Assert.True(top.IsClosed);
        PoolHarness.Return(held);
        Assert.False(exchange.IsCompleted);

        // And it is in nobody's way: a rent takes the idle ones although it waits.
        Assert.True(pool.Pool.TryRent(out TcpLease other));
        PoolHarness.Return(other);
        pool.AssertCounts(idle: 2, used: 0, connecting: 1, waiting: 1);
        dial.Open(Answering());
        await exchange.WaitAsync(PoolHarness.Hang);
        pool.AssertCounts(idle: 3, used: 0, waiting: 0);
    }

    [Fact]
    public async Task A_connection_that_comes_back_goes_past_the_retry_to_who_waits_behind_it()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 2));
        _ = await pool.FillAsync(2);
        pool.Connector.Automatic = null;
        TcpLease held = await pool.RentAsync();
        pool.Connector.Transports.First().Fault = Reset();
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        FakeDial dial = await pool.Connector.NextAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        pool.AssertCounts(idle: 0, used: 1, connecting: 1, waiting: 2);
        PoolHarness.Return(held);
        TcpLease passed = await waiting;
        Assert.True(passed.IsReused);
        Assert.False(exchange.IsCompleted);
        dial.Open(Answering());
        await exchange.WaitAsync(PoolHarness.Hang);
        PoolHarness.Return(passed);
    }

    [Fact]
    public async Task The_place_that_the_failed_connection_leaves_is_the_retrys()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync(PoolHarness.Settings(max: 1));
        await using PoolHarness pool = harness;
        TaskCompletionSource go = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int runs = 0;
        Task<long> exchange = pool.Pool.ExecuteAsync(
            async (lease, _, token) =>
            {
                runs++;
                await go.Task;
                return await AskAsync(lease, asks: true, token);
            },
            0,
            Idempotent).AsTask();
        Task<TcpLease> waiting = pool.RentAsync();
        pool.AssertCounts(used: 1, waiting: 1);
        used.Fault = Reset();
        go.SetResult();
        FakeDial dial = await pool.Connector.NextAsync();
        dial.Open(Answering());

        // Its own new connection, returned, is the next caller's.
        long id = await exchange.WaitAsync(PoolHarness.Hang);
        TcpLease next = await waiting;
        Assert.Equal((2, id), (runs, next.ConnectionId));
        Assert.Equal(2, pool.Connector.Dials);
        PoolHarness.Return(next);
    }

    [Fact]
    public async Task The_retry_that_finds_no_server_ends_in_its_dials_error()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        used.Fault = Reset();
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        (await pool.Connector.NextAsync()).Fail();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => exchange.WaitAsync(PoolHarness.Hang));
        pool.AssertCounts(idle: 0, used: 0, connecting: 0, waiting: 0);
    }

    [Fact]
    public async Task The_retry_waits_no_longer_than_a_rent()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync(PoolHarness.Settings(rent: TimeSpan.FromSeconds(2), connect: TimeSpan.FromSeconds(60)));
        await using PoolHarness pool = harness;
        used.Fault = Reset();
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        FakeDial dial = await pool.Connector.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        await Assert.ThrowsAsync<RentTimeoutException>(() => exchange.WaitAsync(PoolHarness.Hang));

        // Its dial goes on for the next.
        FakeTransport opened = dial.Open();
        await pool.UntilAsync(static now => now.Idle == 1);
        Assert.False(opened.IsClosed);
    }

    [Fact]
    public async Task The_callers_token_ends_the_retrys_wait()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        used.Fault = Reset();
        using CancellationTokenSource cancel = new();
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent, cancel.Token).AsTask();
        FakeDial dial = await pool.Connector.NextAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => exchange.WaitAsync(PoolHarness.Hang));
        dial.Open();
        await pool.UntilAsync(static now => now.Idle == 1);
    }

    [Fact]
    public async Task A_pool_that_drains_retries_nothing()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        await PoolHarness.UntilAsync(() => used.PendingBuffer.Length > 0);
        Task drain = pool.Core.DrainAsync();
        used.EndOfStream();
        await Assert.ThrowsAsync<EndOfStreamException>(() => exchange.WaitAsync(PoolHarness.Hang));
        AssertNotRetried(pool);
        await drain.WaitAsync(PoolHarness.Hang);
    }

    [Fact]
    public async Task While_the_breaker_is_open_the_first_failure_is_the_answer()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync(PoolHarness.Settings(failuresToOpen: 1));
        await using PoolHarness pool = harness;
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        await PoolHarness.UntilAsync(() => used.PendingBuffer.Length > 0);
        Task<TcpLease> refused = pool.RentAsync();
        (await pool.Connector.NextAsync()).Fail();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => refused);
        used.EndOfStream();
        await Assert.ThrowsAsync<EndOfStreamException>(() => exchange.WaitAsync(PoolHarness.Hang));
        AssertNotRetried(pool);
    }

    [Fact]
    public async Task A_clear_that_interrupts_the_lease_is_a_failure_like_any_other()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        await PoolHarness.UntilAsync(() => used.PendingBuffer.Length > 0);
        pool.Pool.Clear(interruptLeases: true);
        (await pool.Connector.NextAsync()).Open(Answering());
        await exchange.WaitAsync(PoolHarness.Hang);
        Assert.Equal((1, 1), (pool.Now.Retries, pool.Now.Generation));
    }

    [Fact]
    public async Task A_pause_does_not_strand_the_connection_that_is_dialed_for_a_retry()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync(PoolHarness.Settings(max: 1));
        await using PoolHarness pool = harness;
        used.Fault = Reset();
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        FakeDial dial = await pool.Connector.NextAsync();
        pool.Pool.Pause();
        dial.Open(Answering());
        await exchange.WaitAsync(PoolHarness.Hang);
        pool.AssertCounts(idle: 1, used: 0, waiting: 0);
    }

    [Fact]
    public async Task A_paused_pool_dials_for_no_retry()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        await PoolHarness.UntilAsync(() => used.PendingBuffer.Length > 0);
        pool.Pool.Pause();
        used.EndOfStream();
        await Assert.ThrowsAsync<EndOfStreamException>(() => exchange.WaitAsync(PoolHarness.Hang));
        AssertNotRetried(pool);
    }

    /// <summary>Idle ones are nothing to a retry: a drain that kept them for whoever waits took and put back the same one for ever.</summary>
    [Fact]
    public async Task A_drain_closes_what_is_idle_although_a_retry_waits()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        _ = await pool.FillAsync(2);
        pool.Connector.Automatic = null;
        pool.Connector.Transports.Last().Fault = pool.Connector.Transports.First().Fault = Reset();
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        FakeDial dial = await pool.Connector.NextAsync();
        pool.AssertCounts(idle: 1, waiting: 1);
        Task drain = Task.CompletedTask;
        await Task.Run(() => { drain = pool.Core.DrainAsync(); }).WaitAsync(PoolHarness.Hang);
        Assert.Equal(0, pool.Now.Idle);
        Assert.Equal(1, pool.Now.Waiting);
        dial.Open(Answering());
        await exchange.WaitAsync(PoolHarness.Hang);
        await drain.WaitAsync(PoolHarness.Hang);
    }

    /// <summary>Behind a limit that was lowered, the dial that failed was the only thing on its way to it.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_retry_that_loses_an_inherited_dial_at_a_lowered_limit_gets_the_place_of_a_returned_connection(bool opensTheBreaker)
    {
        PoolSettings settings = PoolHarness.Settings(max: 4, failuresToOpen: opensTheBreaker ? 1 : 100, rent: TimeSpan.FromHours(1));
        await using PoolHarness pool = new(settings);
        (TcpLease first, _) = await pool.DialAsync();
        (TcpLease second, _) = await pool.DialAsync();
        (TcpLease third, FakeTransport used) = await pool.DialAsync();
        PoolHarness.Return(third);
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        await PoolHarness.UntilAsync(() => used.PendingBuffer.Length > 0);
        using CancellationTokenSource leaves = new();
        Task<TcpLease> gone = pool.RentAsync(leaves.Token);
        FakeDial inherited = await pool.Connector.NextAsync();
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        used.EndOfStream();
        await pool.UntilAsync(static now => now is { Waiting: 1, Used: 2, Closing: 0 });
        pool.Core.Apply(settings with { MaxConnections = 2 });
        inherited.Fail();
        await pool.UntilAsync(static now => now is { DialsFailed: 1, Connecting: 0 });
        if (opensTheBreaker)
        {
            await PoolHarness.UntilAsync(() =>
            {
                pool.Time.Advance(TimeSpan.FromMilliseconds(10));
                return pool.Now.BreakerState == BreakerState.HalfOpen;
            });
        }

        // Whoever notes that the retry needs a place does so at the end of the dial, or of the pause.
        bool isHeld = true;
        await PoolHarness.UntilAsync(() =>
        {
            if (isHeld)
            {
                PoolHarness.Return(first);
            }

            isHeld = pool.Now.Closed < 2 && pool.Pool.TryRent(out first);
            return pool.Now.Closed == 2;
        });
        (await pool.Connector.NextAsync()).Open(Answering());
        await exchange.WaitAsync(PoolHarness.Hang);
        PoolHarness.Return(second);
    }
}
