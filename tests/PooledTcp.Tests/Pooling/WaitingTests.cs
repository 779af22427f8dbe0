using PooledTcp.Pooling;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>The queue: who is served, in what order, on whose stack, and how one leaves it.</summary>
public sealed class WaitingTests
{
    [Fact]
    public async Task Waiters_are_FIFO()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease>[] waiting = [.. Enumerable.Range(0, 5).Select(_ => pool.RentAsync())];

        for (int i = 0; i < waiting.Length; i++)
        {
            pool.AssertCounts(used: 1, waiting: waiting.Length - i);
            Assert.All(waiting[i..], static w => Assert.False(w.IsCompleted));
            PoolHarness.Return(lease);
            lease = await waiting[i];
        }

        Assert.Equal(1, pool.Connector.Dials);
    }

    [Fact]
    public async Task While_anyone_waits_rents_enqueue_and_returns_hand_over()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 2));
        (TcpLease first, _) = await pool.DialAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        await pool.Connector.NextAsync();

        // The oldest waiter's dial is pending; a newcomer must neither take what is returned nor overtake.
        Task<TcpLease> newcomer = pool.RentAsync();
        Assert.False(pool.Pool.TryRent(out _));
        long id = first.ConnectionId;
        PoolHarness.Return(first);

        Assert.Equal(id, (await waiting).ConnectionId);
        Assert.False(newcomer.IsCompleted);
        pool.AssertCounts(idle: 0, used: 1, connecting: 1, waiting: 1);
    }

    [Fact]
    public async Task A_cancelled_waiter_never_receives_and_never_leaks()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        using CancellationTokenSource cancel = new();
        Task<TcpLease> cancelled = pool.RentAsync(cancel.Token);
        Task<TcpLease> next = pool.RentAsync();

        await cancel.CancelAsync();
        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.Equal(cancel.Token, e.CancellationToken);
        pool.AssertCounts(used: 1, waiting: 1);

        long id = lease.ConnectionId;
        PoolHarness.Return(lease);
        Assert.Equal(id, (await next).ConnectionId);
        pool.AssertCounts(idle: 0, used: 1, waiting: 0);
    }

    [Fact]
    public async Task A_waiter_that_was_served_is_not_cancelled()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        using CancellationTokenSource cancel = new();
        Task<TcpLease> waiting = pool.RentAsync(cancel.Token);

        PoolHarness.Return(lease);
        await cancel.CancelAsync();

        PoolHarness.Return(await waiting);
        pool.AssertCounts(idle: 1, used: 0);
    }

    [Fact]
    public async Task A_token_that_fired_already_starts_nothing()
    {
        await using PoolHarness pool = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.RentAsync(new CancellationToken(canceled: true)));
        pool.AssertCounts(idle: 0, used: 0, connecting: 0, waiting: 0);
    }

    [Fact]
    public async Task A_token_that_fired_already_takes_no_idle_connection()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(1);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.RentAsync(new CancellationToken(canceled: true)));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => pool.Pool.RentAsync(TimeSpan.FromSeconds(1), new CancellationToken(canceled: true)).AsTask());
        pool.AssertCounts(idle: 1, used: 0);
    }

    [Fact]
    public async Task A_waiter_leaves_from_the_front_the_middle_and_the_end()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        CancellationTokenSource[] cancels = [.. Enumerable.Range(0, 6).Select(_ => new CancellationTokenSource())];
        Task<TcpLease>[] waiting = [.. cancels.Select(c => pool.RentAsync(c.Token))];

        foreach (int leaves in (int[])[0, 3, 5])
        {
            await cancels[leaves].CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting[leaves]);
        }

        foreach (int served in (int[])[1, 2, 4])
        {
            PoolHarness.Return(lease);
            lease = await waiting[served];
        }

        pool.AssertCounts(used: 1, waiting: 0);
        Array.ForEach(cancels, static c => c.Dispose());
    }

    [Fact]
    public async Task Continuations_never_run_on_the_returners_stack()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        using ThreadLocal<bool> returning = new();
        TaskCompletionSource<bool> ranOnReturner = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ValueTask<TcpLease> waiting = pool.Pool.RentAsync(CancellationToken.None);
        System.Runtime.CompilerServices.ValueTaskAwaiter<TcpLease> awaiter = waiting.GetAwaiter();
        awaiter.UnsafeOnCompleted(() =>
        {
            ranOnReturner.SetResult(returning.Value);
            awaiter.GetResult();
        });

        returning.Value = true;
        PoolHarness.Return(lease);
        returning.Value = false;

        Assert.False(await ranOnReturner.Task.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_waiter_is_recycled_after_its_caller_took_the_result()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        ValueTask<TcpLease> waiting = pool.Pool.RentAsync(CancellationToken.None);
        PoolHarness.Return(lease);
        await PoolHarness.UntilAsync(() => waiting.IsCompleted);

        // Not in the pool yet: another rent gets another waiter, though this one has its outcome.
        ValueTask<TcpLease> second = pool.Pool.RentAsync(CancellationToken.None);
        TcpLease lease2 = await waiting;
        PoolHarness.Return(lease2);
        TcpLease lease3 = await second;
        Assert.Throws<ObjectDisposedException>(() => lease2.ConnectionId);

        // Awaited twice: the source has moved on and says so instead of handing out another caller's lease.
        Assert.Throws<InvalidOperationException>(() => waiting.GetAwaiter().GetResult());
        Assert.Throws<InvalidOperationException>(() => second.IsCompleted);
        PoolHarness.Return(lease3);
    }

    [Fact]
    public async Task A_result_taken_too_early_throws_and_recycles_nothing()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        ValueTask<TcpLease> waiting = pool.Pool.RentAsync(CancellationToken.None);
        Assert.Throws<InvalidOperationException>(() => waiting.GetAwaiter().GetResult());

        PoolHarness.Return(lease);
        PoolHarness.Return(await waiting);
    }

    [Fact]
    public async Task The_queue_is_bounded()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, waiters: 2));
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> first = pool.RentAsync();
        Task<TcpLease> second = pool.RentAsync();

        PoolQueueFullException e = await Assert.ThrowsAsync<PoolQueueFullException>(() => pool.RentAsync());
        Assert.Contains("MaxWaiters (2)", e.Message, StringComparison.Ordinal);
        Assert.Contains("used 1", e.Message, StringComparison.Ordinal);
        Assert.Contains("waiting 2", e.Message, StringComparison.Ordinal);
        Assert.Equal("fake", e.PoolName);

        PoolHarness.Return(lease);
        lease = await first;
        Task<TcpLease> third = pool.RentAsync();
        PoolHarness.Return(lease);
        PoolHarness.Return(await second);
        PoolHarness.Return(await third);
    }

    [Fact]
    public async Task MaxWaiters_0_lends_what_is_idle_and_dials_what_fits_and_never_queues()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 2, connecting: 1, waiters: 0));
        Task<TcpLease> dialing = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();

        // MaxConnecting is taken, so this one would have to wait without a dial of its own.
        await Assert.ThrowsAsync<PoolQueueFullException>(() => pool.RentAsync());

        dial.Open();
        TcpLease lease = await dialing;
        (TcpLease other, _) = await pool.DialAsync();
        await Assert.ThrowsAsync<PoolQueueFullException>(() => pool.RentAsync());
        PoolHarness.Return(lease);
        PoolHarness.Return(await pool.RentAsync());
        PoolHarness.Return(other);
        pool.AssertCounts(idle: 2, used: 0);
    }

    [Fact]
    public async Task A_waiter_with_a_dial_of_its_own_takes_no_place_in_the_queue()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 2, connecting: 2, waiters: 1));
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 3).Select(_ => pool.RentAsync())];
        await Assert.ThrowsAsync<PoolQueueFullException>(() => pool.RentAsync());

        foreach (FakeDial dial in await pool.Connector.NextAsync(2))
        {
            dial.Open();
        }

        TcpLease first = await rents[0];
        await rents[1];
        PoolHarness.Return(first);
        await rents[2];
    }

    [Fact]
    public async Task TryRent_takes_only_what_is_idle()
    {
        await using PoolHarness pool = new();
        Assert.False(pool.Pool.TryRent(out TcpLease none));
        Assert.Equal(default, none);
        pool.AssertCounts(connecting: 0, waiting: 0);

        (TcpLease lease, _) = await pool.DialAsync();
        PoolHarness.Return(lease);
        Assert.True(pool.Pool.TryRent(out TcpLease warm));
        Assert.True(warm.IsReused);
        Assert.False(pool.Pool.TryRent(out _));
    }

    [Fact]
    public async Task A_wait_allocates_no_waiter_once_the_pool_of_waiters_is_warm()
    {
        await using PoolHarness one = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        await using PoolHarness other = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease[] leases = [await one.RentAsync(), await other.RentAsync()];

        // On one thread from here on, whose spare waiter it is: the one that ends a wait begins the next, on any pool.
        Waiter warm = SpareWaiters.Take();
        SpareWaiters.Return(warm);
        foreach ((PoolHarness pool, TcpLease lease) in new[] { one, other }.Zip(leases))
        {
            ValueTask<TcpLease> waiting = pool.Pool.RentAsync(CancellationToken.None);
            Assert.True(warm.IsQueued);
            PoolHarness.Return(lease);
            Assert.True(waiting.IsCompletedSuccessfully);
            PoolHarness.Return(ResultHere(waiting));
        }

        Assert.Same(warm, SpareWaiters.Take());
        SpareWaiters.Return(warm);
    }

    [Fact]
    public void Waiters_beyond_the_thread_s_own_are_kept_for_everybody()
    {
        Waiter own = SpareWaiters.Take();
        Waiter second = SpareWaiters.Take();
        Assert.NotSame(own, second);
        SpareWaiters.Return(own);
        SpareWaiters.Return(second);
        Assert.Same(own, SpareWaiters.Take());
        SpareWaiters.Return(own);
    }

    /// <summary>On this thread: an await may go on on another.</summary>
    private static TcpLease ResultHere(ValueTask<TcpLease> completed) => completed.Result;
}
