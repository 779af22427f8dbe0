using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>A retry takes nothing but a new connection: at a limit, its own pool's others do not help it unless one gives way.</summary>
public sealed class SharedCapRetryTests
{
    /// <summary>Key 0 has one connection and a retry that queues for a place; key 1 has got the place of the failed one.</summary>
    private static async Task<(TcpLease Own, Task<long> Retry, TcpLease Other)> QueueRetryAsync(KeyedPools pools, CancellationToken cancellationToken = default)
    {
        await pools[0].FillAsync(2);
        TcpLease own = await pools[0].RentAsync(CancellationToken.None);
        TaskCompletionSource go = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<long> retry = pools[0].Pool.FailOnceAsync(pools[0].Connector, () => go.Task, cancellationToken);
        Task<TcpLease> other = pools[1].RentAsync(CancellationToken.None);
        go.SetResult();
        await pools.UntilAsync(() => pools[0].Now is { Waiting: 1, Closing: 0 });
        return (own, retry, await other);
    }

    [Fact]
    public async Task An_idle_connection_gives_way_to_a_retry_of_its_own_key()
    {
        await using KeyedPools pools = new(max: 2, keys: 2);
        (TcpLease own, Task<long> retry, TcpLease other) = await QueueRetryAsync(pools);
        PoolHarness.Return(own);

        // Key 1 has its share and uses it: nothing is to be had from there.
        await pools.WhileTurnsPassAsync(() => retry.IsCompleted);
        await retry;
        Assert.Equal((1, 0), (pools[0].SharedCapCloses, pools[1].SharedCapCloses));
        PoolHarness.Return(other);
        Assert.Equal(2, pools.Sockets.Peak);
    }

    [Fact]
    public async Task So_does_a_returned_one_that_is_never_idle_for_a_turn()
    {
        await using KeyedPools pools = new(max: 2, keys: 2);
        (TcpLease own, Task<long> retry, TcpLease other) = await QueueRetryAsync(pools);
        Task<TcpLease> next = pools[0].RentAsync();
        await pools.PassTurnAsync();

        // Although somebody behind the retry would take it.
        PoolHarness.Return(own);
        await retry.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        PoolHarness.Return(await next);
        Assert.Equal((1, 0), (pools[0].SharedCapCloses, pools[1].SharedCapCloses));
        PoolHarness.Return(other);
    }

    [Fact]
    public async Task What_it_gives_up_for_itself_goes_to_nobody_else()
    {
        await using KeyedPools pools = new(max: 2, keys: 2);
        (TcpLease own, Task<long> retry, TcpLease other) = await QueueRetryAsync(pools);

        // Key 1 wants a second one and comes after the retry; that is in front again when its own connection has closed.
        Task<TcpLease> more = pools[1].RentAsync();
        await pools.PassTurnAsync();
        PoolHarness.Return(own);
        await retry.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.False(more.IsCompleted);
        PoolHarness.Return(other);
        PoolHarness.Return(await more);
        Assert.Equal(1, pools[0].SharedCapCloses);
    }

    [Fact]
    public async Task A_limit_over_all_that_is_lowered_under_a_retry()
    {
        await using KeyedPools pools = new(max: 2, keys: 1);
        await pools[0].FillAsync(2);
        TcpLease own = await pools[0].RentAsync();
        Task<long> retry = pools[0].Pool.FailOnceAsync(pools[0].Connector);
        await retry.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);

        // The other one is taken; once it is back it is all that the limit allows, and the retry cannot use it.
        retry = pools[0].Pool.FailOnceAsync(pools[0].Connector, () =>
        {
            pools.Cap.Resize(1);
            return Task.CompletedTask;
        });
        await pools.UntilAsync(() => pools[0].Now is { Waiting: 1, Closing: 0 });
        PoolHarness.Return(own);
        await pools.WhileTurnsPassAsync(() => retry.IsCompleted);
        await retry;
        Assert.Equal(1, pools.Cap.Places.Used);
    }

    [Fact]
    public async Task A_limit_of_the_pool_that_is_lowered_under_a_retry_that_queues()
    {
        await using KeyedPools pools = new(max: 2, keys: 2);
        (TcpLease own, Task<long> retry, TcpLease other) = await QueueRetryAsync(pools);
        pools[0].Core.Apply(KeyedPools.LongSettings(max: 1));
        Assert.Equal(0, pools.Cap.Places.Queued);
        PoolHarness.Return(own);
        await retry.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.Equal(1, pools[0].Now.ClosedByReason["over_capacity"]);
        PoolHarness.Return(other);
    }

    [Fact]
    public async Task A_retry_that_leaves_the_queue_leaves_no_idle_connection_unseen()
    {
        await using KeyedPools pools = new(max: 2, keys: 3);
        using CancellationTokenSource leaves = new();
        (TcpLease own, Task<long> retry, TcpLease other) = await QueueRetryAsync(pools, leaves.Token);
        PoolHarness.Return(own);

        // Looked at while its key queues; the next key begins to queue after that.
        await pools.PassTurnAsync();
        Task<TcpLease> third = pools[2].RentAsync();
        await leaves.CancelAsync();
        await Task.WhenAny(retry).WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        PoolHarness.Return(await pools.WhileTurnsPassAsync(third));
        Assert.Equal(0, pools[1].SharedCapCloses);
        PoolHarness.Return(other);
    }
}
