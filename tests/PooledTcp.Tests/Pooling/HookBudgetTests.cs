using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Hooks and connect callbacks that block, throw from their token's callbacks, or run when the pool ends.</summary>
public sealed class HookBudgetTests
{
    [Fact]
    public async Task A_handshake_that_blocks_its_thread_does_not_keep_the_permit()
    {
        using ManualResetEventSlim release = new();
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1, connecting: 1), new()
        {
            Handshake = (_, _) =>
            {
                running.SetResult();
                release.Wait(PoolHarness.Hang, CancellationToken.None);
                return ValueTask.FromResult<object?>(null);
            },
        });
        try
        {
            Task<TcpLease> rent = pool.RentAsync();
            FakeTransport transport = (await pool.Connector.NextAsync()).Open();
            await running.Task.WaitAsync(PoolHarness.Hang);
            pool.Time.Advance(TimeSpan.FromSeconds(3));
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent.WaitAsync(PoolHarness.Hang / 2));
            Assert.True(transport.IsClosed);
            pool.AssertCounts(connecting: 0);
        }
        finally
        {
            release.Set();
        }
    }

    [Fact]
    public async Task A_reset_that_blocks_its_thread_does_not_keep_the_place()
    {
        using ManualResetEventSlim release = new();
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1), new()
        {
            Reset = (_, _) =>
            {
                running.SetResult();
                release.Wait(PoolHarness.Hang, CancellationToken.None);
                return default;
            },
        });
        try
        {
            (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
            PoolHarness.Return(lease);
            await running.Task.WaitAsync(PoolHarness.Hang);
            pool.Time.Advance(TimeSpan.FromSeconds(3));
            await transport.Closed.WaitAsync(PoolHarness.Hang / 2);
        }
        finally
        {
            release.Set();
        }
    }

    [Fact]
    public async Task A_resets_token_fires_when_the_pool_closes()
    {
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource never = new();
        await using PoolHarness pool = new(hooks: new()
        {
            Reset = async (_, token) =>
            {
                token.Register(cancelled.SetResult);
                running.SetResult();
                await never.Task;
            },
        });
        (TcpLease lease, _) = await pool.DialAsync();
        PoolHarness.Return(lease);
        await running.Task.WaitAsync(PoolHarness.Hang);
        pool.Core.Close();
        await cancelled.Task.WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["pool_shutdown"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_throwing_cancellation_callback_aborts_neither_Clear_nor_Close(bool close)
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 3));
        (TcpLease leased, FakeTransport first) = await pool.DialAsync();
        (TcpLease idle, FakeTransport second) = await pool.DialAsync();
        PoolHarness.Return(idle);
        Task warm = pool.Pool.WarmUpAsync(3);
        FakeDial dial = await pool.Connector.NextAsync();
        dial.CancellationToken.Register(static () => throw new InvalidOperationException("of the hook"));
        End(pool, close);
        Assert.True(first.IsClosed);
        Assert.True(second.IsClosed);
        leased.Dispose();
        await PoolHarness.UntilAsync(() => dial.CancellationToken.IsCancellationRequested);
        if (close)
        {
            await Assert.ThrowsAsync<PoolClosedException>(() => warm.WaitAsync(PoolHarness.Hang));
            return;
        }

        // The dials of the new generation.
        Array.ForEach(await pool.Connector.NextAsync(3), static d => d.Open());
        await warm.WaitAsync(PoolHarness.Hang);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_blocking_cancellation_callback_holds_up_neither_Clear_nor_Close(bool close)
    {
        using ManualResetEventSlim release = new();
        await using PoolHarness pool = new();
        (TcpLease leased, FakeTransport transport) = await pool.DialAsync();
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        dial.CancellationToken.Register(() => release.Wait(PoolHarness.Hang));
        try
        {
            await Task.Run(() => End(pool, close), CancellationToken.None).WaitAsync(PoolHarness.Hang / 2);
            Assert.True(transport.IsClosed);
            leased.Dispose();
        }
        finally
        {
            release.Set();
        }

        // Whoever waits gets another dial, or the end of the pool.
        if (close)
        {
            await Assert.ThrowsAsync<PoolClosedException>(() => rent);
        }
        else
        {
            (await pool.Connector.NextAsync()).Open();
            PoolHarness.Return(await rent);
        }
    }

    [Fact]
    public async Task A_throwing_cancellation_callback_of_a_reset_does_not_reach_the_timer()
    {
        // There it would be nobody's, and end the process.
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource never = new();
        await using PoolHarness pool = new(hooks: new()
        {
            Reset = async (_, token) =>
            {
                token.Register(static () => throw new InvalidOperationException("of the hook"));
                running.SetResult();
                await never.Task;
            },
        });
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        await running.Task.WaitAsync(PoolHarness.Hang);
        pool.Time.Advance(TimeSpan.FromSeconds(3));
        await transport.Closed.WaitAsync(PoolHarness.Hang);
    }

    private static void End(PoolHarness pool, bool close)
    {
        if (close)
        {
            pool.Core.Close();
        }
        else
        {
            pool.Pool.Clear(interruptLeases: true);
        }
    }
}
