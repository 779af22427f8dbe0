using PooledTcp.Connections;
using PooledTcp.Pooling;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>What the warm path must not pass over: the marks, and that it looks at a connection once.</summary>
public sealed class WarmPathTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_look_that_found_something_is_not_made_again(bool unreadBytes)
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        PoolHarness.Return(await pool.RentAsync());
        FakeTransport transport = pool.Connector.Transports.Single();
        transport.Verdict = unreadBytes ? IdleVerdict.UnreadBytes : IdleVerdict.PeerClosed;

        // As on TLS: what the first look found is no longer there for the second.
        int looks = 0;
        transport.OnCheckIdle = () =>
        {
            if (++looks > 1)
            {
                transport.Verdict = IdleVerdict.Clean;
            }
        };
        TcpLease next = await pool.RentAsync();
        Assert.False(next.IsReused);
        Assert.True(transport.IsClosed);
        PoolHarness.Return(next);
    }

    [Fact]
    public async Task A_lowered_MaxUses_holds_for_a_connection_that_was_on_loan()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        for (int i = 0; i < 9; i++)
        {
            PoolHarness.Return(await pool.RentAsync());
        }

        TcpLease lease = await pool.RentAsync();
        pool.Core.Apply(PoolHarness.Settings(maxUses: 2));

        // The sweep that the change asks for takes back the mark which makes everybody look at the clock.
        pool.Maintain();
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 0);
        Assert.Equal(1, pool.Now.ClosedByReason["max_uses"]);
    }

    [Fact]
    public async Task A_raised_MaxUses_gives_the_warm_path_back()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(maxUses: 2));
        await pool.FillAsync(1);
        TcpLease lease = await pool.RentAsync();
        TcpConnection connection = pool.PeerWatch.Find(lease.ConnectionId);
        pool.Core.Apply(PoolHarness.Settings(maxUses: 1000));
        pool.Maintain();
        PoolHarness.Return(lease);
        pool.Maintain();
        PoolHarness.Return(await pool.RentAsync());
        Assert.Equal(Marks.None, connection.Marks);
    }

    [Fact]
    public async Task A_lease_that_begins_within_the_coarse_clocks_step_was_idle_for_nothing()
    {
        await using PoolHarness pool = PoolHarness.Automatic(
            PoolHarness.Settings(lifetime: Timeout.InfiniteTimeSpan) with { RetentionPeriod = Timeout.InfiniteTimeSpan });
        TcpLease lease = await pool.RentAsync();
        pool.Maintain();
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        pool.Maintain();
        Assert.True(pool.Core.IsQuiet);
        pool.Time.Advance(TimeSpan.FromMicroseconds(9));
        PoolHarness.Return(lease);
        lease = await pool.RentAsync();
        Assert.Equal(TimeSpan.Zero, lease.IdleFor);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task A_rent_that_is_awaited_twice_gives_its_waiter_back_once()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease held = await pool.RentAsync();
        ValueTask<TcpLease> rent = pool.Pool.RentAsync();
        PoolHarness.Return(held);
#pragma warning disable CA2012 // The mistake that is made here
        TcpLease lease = await rent;
        Assert.Throws<InvalidOperationException>(() => rent.GetAwaiter().GetResult());
#pragma warning restore CA2012
        Waiter first = SpareWaiters.Take();
        Waiter second = SpareWaiters.Take();
        Assert.NotSame(first, second);
        SpareWaiters.Return(first);
        SpareWaiters.Return(second);
        PoolHarness.Return(lease);
    }
}
