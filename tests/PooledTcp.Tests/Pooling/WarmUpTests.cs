using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Warm-up: so many connections open before the first callers come.</summary>
public sealed class WarmUpTests
{
    [Fact]
    public async Task Reached_when_so_many_are_open_idle_or_used()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 10, connecting: 2));
        await pool.DialAsync();
        Task warm = pool.Pool.WarmUpAsync(4);
        for (int i = 0; i < 3; i++)
        {
            Assert.False(warm.IsCompleted);
            pool.AssertCounts(connecting: Math.Min(2, 3 - i));
            (await pool.Connector.NextAsync()).Open();
            await pool.UntilAsync(now => now.Idle == i + 1);
        }

        await warm.WaitAsync(PoolHarness.Hang);
        pool.AssertCounts(idle: 3, used: 1, connecting: 0);
        Assert.Equal(2, pool.Connector.MostRunning);
        await pool.Pool.WarmUpAsync(4);
        Assert.Equal(4, pool.Connector.Dials);
    }

    [Fact]
    public async Task Fails_with_the_dial_that_failed_and_keeps_the_others()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 10, connecting: 2));
        Task warm = pool.Pool.WarmUpAsync(3);
        FakeDial[] dials = await pool.Connector.NextAsync(2);
        dials[0].Open();
        await pool.UntilAsync(static now => now.Idle == 1);
        dials[1].Fail();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => warm.WaitAsync(PoolHarness.Hang));
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task Cancelled_stops_waiting_and_dialing_more()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 10, connecting: 1));
        using CancellationTokenSource cancel = new();
        Task warm = pool.Pool.WarmUpAsync(3, cancel.Token);
        FakeDial dial = await pool.Connector.NextAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => warm.WaitAsync(PoolHarness.Hang));
        dial.Open();
        await pool.UntilAsync(static now => now.Idle == 1);
        pool.AssertCounts(idle: 1, connecting: 0);
    }

    [Fact]
    public async Task Above_the_limit_is_refused()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 2));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => pool.Pool.WarmUpAsync(3));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => pool.Pool.WarmUpAsync(0));
        pool.AssertCounts(connecting: 0);
    }

    [Fact]
    public async Task Two_at_once_need_the_larger_number()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 10));
        await Task.WhenAll(pool.Pool.WarmUpAsync(2), pool.Pool.WarmUpAsync(5), pool.Pool.WarmUpAsync(3)).WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now.Idle == 5);
        Assert.Equal(5, pool.Connector.Dials);
    }

    [Fact]
    public async Task A_connection_of_an_outdated_generation_warms_nobody()
    {
        await using PoolHarness pool = PoolHarness.ClearedInTheFirstHandshake();
        await pool.Pool.WarmUpAsync(1).WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now is { Idle: 1, Closing: 0 });
        Assert.Equal(1, pool.Connector.Live);
        Assert.Equal(pool.Now.Created - 1, pool.Now.ClosedByReason.GetValueOrDefault("cleared"));
        Assert.Equal(2, pool.Connector.Transports.Count);
    }

    [Fact]
    public async Task After_the_end_it_says_so()
    {
        PoolHarness pool = new();
        Task pending = pool.Pool.WarmUpAsync(1);
        await pool.DisposeAsync();
        await Assert.ThrowsAsync<PoolClosedException>(() => pending.WaitAsync(PoolHarness.Hang));
        await Assert.ThrowsAsync<PoolClosedException>(() => pool.Pool.WarmUpAsync(1));
    }

    [Fact]
    public async Task A_limit_lowered_below_it_fails_it_and_names_both()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 4));
        Task large = pool.Pool.WarmUpAsync(4);
        Task small = pool.Pool.WarmUpAsync(2);
        FakeDial[] dials = await pool.Connector.NextAsync(4);
        pool.Core.Apply(PoolHarness.Settings(max: 2));
        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(() => large.WaitAsync(PoolHarness.Hang));
        Assert.Contains("MaxConnections of pool 'fake' was lowered to 2, below the 4", e.Message, StringComparison.Ordinal);
        Assert.False(small.IsCompleted);
        Array.ForEach(dials, static d => d.Open());
        await small.WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now is { Idle: 2, Connecting: 0, Closing: 0 });
    }

    [Fact]
    public async Task One_that_fails_while_its_caller_leaves_is_no_unobserved_exception()
    {
        string mark = $"warm-up {Guid.NewGuid()}";
        int unobserved = 0;
        EventHandler<UnobservedTaskExceptionEventArgs> count = (_, e) =>
        {
            if (e.Exception.ToString().Contains(mark, StringComparison.Ordinal))
            {
                Interlocked.Increment(ref unobserved);
            }
        };
        TaskScheduler.UnobservedTaskException += count;
        try
        {
            for (int round = 0; round < 200; round++)
            {
                await RaceAsync(mark);
            }

            GC.Collect();
            GC.WaitForPendingFinalizers();
            Assert.Equal(0, unobserved);
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= count;
        }

        static async Task RaceAsync(string mark)
        {
            await using PoolHarness pool = new();
            using CancellationTokenSource cancel = new();
            Task warm = pool.Pool.WarmUpAsync(1, cancel.Token);
            FakeDial dial = await pool.Connector.NextAsync();

            // The failure takes a hop or two to the warm-up, so the cancellation comes in between now and then.
            dial.Fail(new IOException(mark));
            await PoolHarness.UntilAsync(() => pool.Now.DialsFailed == 1);
            cancel.Cancel();
            await Assert.ThrowsAnyAsync<Exception>(() => warm.WaitAsync(PoolHarness.Hang));
        }
    }
}
