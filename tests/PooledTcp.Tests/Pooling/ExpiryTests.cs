using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Lifetime, IdleTimeout and MaxUses hold at rent, return, hand-off and in the background.</summary>
public sealed class ExpiryTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Lifetime_holds_in_the_background()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(lifetime: Minute, idle: Timeout.InfiniteTimeSpan));
        await pool.FillAsync(2);
        pool.Pass(TimeSpan.FromSeconds(56));
        pool.AssertCounts(idle: 2);

        // Swept every 3 s (a twentieth), so closed within 3 s of its end.
        pool.Pass(TimeSpan.FromSeconds(7));
        pool.AssertCounts(idle: 0);
        Assert.Equal(2, pool.Now.ClosedByReason["max_lifetime"]);
    }

    [Fact]
    public async Task Lifetime_holds_at_rent_between_two_sweeps()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(lifetime: Minute));
        long[] ids = await pool.FillAsync(1);
        pool.Pass(TimeSpan.FromSeconds(58));

        // The sweep marked it; no sweep comes between its end and the rent.
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.NotEqual(ids[0], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(1, pool.Now.ClosedByReason["max_lifetime"]);
    }

    [Fact]
    public async Task Lifetime_holds_at_return_hot_connections_included()
    {
        // corefx 29397, pgx 2560: a connection that is never idle when the sweep looks lived for ever.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, lifetime: Minute));
        TcpLease lease = await pool.RentAsync();
        long id = lease.ConnectionId;
        for (int second = 0; second < 59; second++)
        {
            pool.Pass(TimeSpan.FromSeconds(1));
            PoolHarness.Return(lease);
            lease = await pool.RentAsync();
            Assert.Equal(id, lease.ConnectionId);
        }

        pool.Pass(TimeSpan.FromSeconds(1));
        PoolHarness.Return(lease);
        Assert.Equal(1, pool.Now.ClosedByReason["max_lifetime"]);
    }

    [Fact]
    public async Task Lifetime_holds_when_a_connection_passes_straight_to_a_waiter()
    {
        // corefx 29397: the limit was ignored at the hand-off.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, lifetime: Minute, rent: Timeout.InfiniteTimeSpan));
        TcpLease lease = await pool.RentAsync();
        long id = lease.ConnectionId;
        Task<TcpLease> waiting = pool.RentAsync();
        pool.Pass(Minute);
        PoolHarness.Return(lease);
        Assert.NotEqual(id, (await waiting).ConnectionId);
    }

    [Fact]
    public async Task Lifetime_is_shortened_by_jitter()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(lifetime: Minute, jitter: 0.5), random: 0.5);
        await pool.FillAsync(1);

        // 60 s x (1 - 0.5 x 0.5) = 45 s
        pool.Pass(TimeSpan.FromSeconds(44));
        pool.AssertCounts(idle: 1);
        pool.Pass(TimeSpan.FromSeconds(4));
        pool.AssertCounts(idle: 0);
    }

    [Fact]
    public async Task A_lowered_Lifetime_holds_for_connections_that_are_open()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: Timeout.InfiniteTimeSpan));
        await pool.FillAsync(1);
        pool.Pass(Minute);
        pool.Core.Apply(PoolHarness.Settings(lifetime: Minute, idle: Timeout.InfiniteTimeSpan));
        pool.Maintain();
        pool.AssertCounts(idle: 0);
    }

    [Fact]
    public async Task IdleTimeout_holds_in_the_background()
    {
        // reactor-netty 3414: the limit was looked at only when somebody rented.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: Minute));
        await pool.FillAsync(2);
        pool.Pass(TimeSpan.FromSeconds(57));
        pool.AssertCounts(idle: 2);
        pool.Pass(TimeSpan.FromSeconds(6));
        pool.AssertCounts(idle: 0);
        Assert.Equal(2, pool.Now.ClosedByReason["idle_timeout"]);
    }

    [Fact]
    public async Task IdleTimeout_holds_at_rent_between_two_sweeps()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: Minute));
        long[] ids = await pool.FillAsync(1);
        pool.Pass(TimeSpan.FromSeconds(58));
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.NotEqual(ids[0], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(1, pool.Now.ClosedByReason["idle_timeout"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_sweep_that_comes_late_lends_nothing_past_its_end(bool lifetime)
    {
        // Swept every 3 s, last at 55 s; the next is due at 58 s and comes later than the end at 60 s. The mark was
        // made two intervals ahead; one would have been enough only for a sweep on time.
        await using PoolHarness pool = PoolHarness.Automatic(
            lifetime ? PoolHarness.Settings(lifetime: Minute) : PoolHarness.Settings(idle: Minute));
        long[] ids = await pool.FillAsync(1);
        pool.Pass(TimeSpan.FromSeconds(55), TimeSpan.FromSeconds(55));
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.NotEqual(ids[0], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(1, pool.Now.ClosedByReason[lifetime ? "max_lifetime" : "idle_timeout"]);
    }

    [Fact]
    public async Task Time_in_use_is_not_idle_time()
    {
        // ebean-datasource 149: a check that looked at the wrong clock killed live connections.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, idle: Minute, rent: Timeout.InfiniteTimeSpan));
        long[] ids = await pool.FillAsync(1);
        pool.Pass(TimeSpan.FromSeconds(57));

        // Marked while idle, rented in time, and back at a moment when it would have expired had it stayed idle.
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(3.5));
        pool.Services.Clock.Read();
        PoolHarness.Return(lease);
        TcpLease handed = await waiting;
        Assert.Equal(ids[0], handed.ConnectionId);
        Assert.Equal(TimeSpan.Zero, handed.IdleFor);
    }

    [Fact]
    public async Task IdleTimeout_closes_the_cold_tail_while_the_warm_end_serves()
    {
        // npgsql 4818: FIFO kept every connection warm, so nothing was ever trimmed.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: Minute));
        await pool.FillAsync(4);
        for (int second = 0; second < 70; second++)
        {
            PoolHarness.Return(await pool.RentAsync());
            pool.Pass(TimeSpan.FromSeconds(1));
        }

        pool.AssertCounts(idle: 1);
        Assert.Equal(4, pool.Connector.Dials);
    }

    [Fact]
    public async Task MaxUses_holds_at_return()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(maxUses: 3));
        long id = (await pool.FillAsync(1))[0];
        PoolHarness.Return(await pool.RentAsync());
        TcpLease third = await pool.RentAsync();
        Assert.Equal(id, third.ConnectionId);
        PoolHarness.Return(third);
        pool.AssertCounts(idle: 0);
        Assert.Equal(1, pool.Now.ClosedByReason["max_uses"]);
    }

    [Fact]
    public async Task MaxUses_holds_at_the_hand_off()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, maxUses: 1));
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        long id = lease.ConnectionId;
        PoolHarness.Return(lease);
        Assert.NotEqual(id, (await waiting).ConnectionId);
    }

    [Fact]
    public async Task A_lowered_MaxUses_holds_at_rent()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long[] ids = await pool.FillAsync(1);
        pool.Core.Apply(PoolHarness.Settings(maxUses: 1));
        Assert.NotEqual(ids[0], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(1, pool.Now.ClosedByReason["max_uses"]);
    }

    [Fact]
    public async Task A_lowered_MaxUses_holds_in_the_background()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(2);
        pool.Core.Apply(PoolHarness.Settings(maxUses: 1));
        pool.Maintain();
        pool.AssertCounts(idle: 0);
    }

    [Theory]
    [InlineData((int)IdleVerdict.UnreadBytes, "health_check_failed")]
    [InlineData((int)IdleVerdict.Faulted, "health_check_failed")]
    [InlineData((int)IdleVerdict.PeerClosed, "peer_closed")]
    [InlineData((int)IdleVerdict.Reset, "peer_closed")]
    public async Task The_check_at_rent_closes_what_is_not_clean(int verdict, string reason)
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        transport.Verdict = (IdleVerdict)verdict;

        Assert.False(pool.Pool.TryRent(out _));
        Assert.True(transport.IsClosed);
        Assert.Equal(1, pool.Now.ClosedByReason[reason]);
        (TcpLease fresh, _) = await pool.DialAsync();
        Assert.False(fresh.IsReused);
    }

    [Fact]
    public async Task The_check_holds_at_the_hand_off()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        transport.Verdict = IdleVerdict.UnreadBytes;
        PoolHarness.Return(lease);
        (await pool.Connector.NextAsync()).Open();
        Assert.False((await waiting).IsReused);
        Assert.True(transport.IsClosed);
    }

    [Fact]
    public async Task Bytes_left_in_the_transports_buffers_close_at_return()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync(new FakeTransport { MustPark = true });
        transport.ParkResult = false;
        PoolHarness.Return(lease);
        Assert.Equal(1, pool.Now.ClosedByReason["returned_dirty"]);

        (lease, transport) = await pool.DialAsync(new FakeTransport { MustPark = true });
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task Timeouts_of_milliseconds_are_milliseconds()
    {
        // npgsql 2791: seconds read as milliseconds.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: TimeSpan.FromMilliseconds(100)));
        await pool.FillAsync(1);
        pool.Pass(TimeSpan.FromMilliseconds(80), TimeSpan.FromMilliseconds(20));
        pool.AssertCounts(idle: 1);
        pool.Pass(TimeSpan.FromMilliseconds(40), TimeSpan.FromMilliseconds(20));
        pool.AssertCounts(idle: 0);
    }
}
