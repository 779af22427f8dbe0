using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>The handle: ExecuteAsync, and what it passes on.</summary>
public sealed class TcpPoolTests
{
    [Fact]
    public async Task ExecuteAsync_completes_the_lease_when_the_delegate_returns()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        int result = await pool.Pool.ExecuteAsync(static (_, state, _) => ValueTask.FromResult(state + 1), 41);
        Assert.Equal(42, result);
        bool ran = false;
        await pool.Pool.ExecuteAsync(
            (lease, state, _) =>
            {
                ran = lease.IsReused && state == 7;
                return default;
            },
            7);
        Assert.True(ran);
        pool.AssertCounts(idle: 1, used: 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ExecuteAsync_discards_the_lease_when_the_delegate_throws(bool completedBefore)
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await Assert.ThrowsAsync<InvalidDataException>(() => pool.Pool.ExecuteAsync(
            async (lease, completed, _) =>
            {
                await Task.Yield();
                if (completed)
                {
                    lease.Complete();
                }

                throw new InvalidDataException("a reply that makes no sense");
            },
            completedBefore).AsTask());
        await Assert.ThrowsAsync<InvalidDataException>(() => pool.Pool.ExecuteAsync<bool, int>(
            (lease, completed, _) =>
            {
                if (completed)
                {
                    lease.Complete();
                }

                throw new InvalidDataException("at once");
            },
            completedBefore).AsTask());
        Assert.Equal(2, pool.Now.ClosedByReason["abandoned"]);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task ExecuteAsync_passes_its_token_and_a_rent_that_fails_runs_nothing()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        using CancellationTokenSource cancel = new();
        CancellationToken seen = await pool.Pool.ExecuteAsync(static (_, _, token) => ValueTask.FromResult(token), 0, cancel.Token);
        Assert.Equal(cancel.Token, seen);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => pool.Pool.ExecuteAsync(static (_, _, _) => throw new InvalidOperationException("ran"), 0, cancel.Token).AsTask());
        await Assert.ThrowsAsync<ArgumentNullException>(() => pool.Pool.ExecuteAsync<int, int>(null!, 0).AsTask());
        await Assert.ThrowsAsync<ArgumentNullException>(() => pool.Pool.ExecuteAsync<int>(null!, 0).AsTask());
    }

    [Fact]
    public async Task ExecuteAsync_whose_delegate_disposes_the_lease_says_so()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => pool.Pool.ExecuteAsync(
            static (lease, _, _) =>
            {
                lease.Dispose();
                return default;
            },
            0).AsTask());
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task The_handle_has_the_pools_name()
    {
        await using PoolHarness pool = new();
        Assert.Equal("fake", pool.Pool.Name);
        Assert.Equal("fake", pool.Pool.ToString());
        Assert.Same(pool.Core, pool.Pool.Core);
    }

    [Fact]
    public async Task RentAsync_with_a_timeout_takes_a_warm_one_at_once()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(1);
        ValueTask<TcpLease> rent = pool.Pool.RentAsync(TimeSpan.FromSeconds(1), CancellationToken.None);
        Assert.True(rent.IsCompletedSuccessfully);
        PoolHarness.Return(await rent);
    }
}
