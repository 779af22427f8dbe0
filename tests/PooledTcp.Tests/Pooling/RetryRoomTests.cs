using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>A MaxConnections that is lowered just when an exchange is to run again: the place it counted on does not come.</summary>
public sealed class RetryRoomTests
{
    /// <summary>A retry at a limit of two that becomes one while the failed connection closes; another connection is all it allows.</summary>
    private static async Task<(PoolHarness Pool, Task<long> Retry, TcpLease Other)> LowerAsync(bool otherIsIdle)
    {
        PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 2));
        await pool.FillAsync(2);
        TcpLease other = await pool.RentAsync();
        if (otherIsIdle)
        {
            PoolHarness.Return(other);
        }

        pool.OnSchedule = () =>
        {
            pool.OnSchedule = null;
            pool.Core.Apply(PoolHarness.Settings(max: 1));
        };
        return (pool, pool.Pool.FailOnceAsync(pool.Connector), other);
    }

    [Fact]
    public async Task An_idle_connection_gives_way()
    {
        (PoolHarness harness, Task<long> retry, _) = await LowerAsync(otherIsIdle: true);
        await using PoolHarness pool = harness;
        await retry.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.Equal(1, pool.Now.ClosedByReason["over_capacity"]);
        pool.AssertCounts(idle: 1, used: 0, waiting: 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Otherwise_the_next_that_is_returned_does_and_no_other(bool isWanted)
    {
        (PoolHarness harness, Task<long> retry, TcpLease other) = await LowerAsync(otherIsIdle: false);
        await using PoolHarness pool = harness;
        Task<TcpLease>? next = isWanted ? pool.RentAsync() : null;
        Assert.False(retry.IsCompleted);
        PoolHarness.Return(other);
        await retry.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        if (next is not null)
        {
            PoolHarness.Return(await next);
        }

        // The next one stays, and is found again.
        Assert.True(pool.Pool.TryRent(out TcpLease lease));
        PoolHarness.Return(lease);
        Assert.Equal(1, pool.Now.ClosedByReason["over_capacity"]);
        pool.AssertCounts(idle: 1, used: 0, waiting: 0);
    }

    [Fact]
    public async Task A_retry_that_has_left_costs_no_connection()
    {
        (PoolHarness harness, Task<long> retry, TcpLease other) = await LowerAsync(otherIsIdle: false);
        await using PoolHarness pool = harness;
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        await Assert.ThrowsAsync<RentTimeoutException>(() => retry.WaitAsync(PoolHarness.Hang));
        PoolHarness.Return(other);
        Assert.False(pool.Now.ClosedByReason.ContainsKey("over_capacity"));
        Assert.True(pool.Pool.TryRent(out TcpLease lease));
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1, used: 0, waiting: 0);
    }
}
