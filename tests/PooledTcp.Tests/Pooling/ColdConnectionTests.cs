using PooledTcp.Configuration;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Connections that idled long: is the peer still there, and is it about to close them?</summary>
public sealed class ColdConnectionTests
{
    private static readonly TimeSpan Infinite = Timeout.InfiniteTimeSpan;

    [Fact]
    public async Task One_that_idled_for_the_keepalive_total_is_checked_and_aborted_if_nobody_answers()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long[] ids = await pool.FillAsync(2);
        FakeTransport[] transports = [.. pool.Connector.Transports];
        transports[1].HasNoAnswer = true;
        pool.Pass(TimeSpan.FromSeconds(36));

        TcpLease lease = await pool.RentAsync();
        Assert.Equal(ids[0], lease.ConnectionId);
        Assert.Equal((1, 1), (transports[0].VanishedChecks, transports[1].VanishedChecks));
        Assert.Equal(1, pool.Now.ClosedByReason["vanished"]);
        Assert.Equal(1, pool.Now.ClosedByMethod["abort"]);
        PoolHarness.Return(lease);
    }

    [Theory]
    [InlineData(33, null)]
    [InlineData(60, "Infinite")]
    [InlineData(1, "2")]
    public async Task Before_its_time_nobody_asks(int idleSeconds, string? verifyAfter)
    {
        await using PoolHarness pool = PoolHarness.Automatic(With(verifyAfter switch
        {
            null => null,
            "Infinite" => Infinite,
            _ => TimeSpan.FromSeconds(int.Parse(verifyAfter, System.Globalization.CultureInfo.InvariantCulture)),
        }));
        await pool.FillAsync(1);
        pool.Pass(TimeSpan.FromSeconds(idleSeconds));
        PoolHarness.Return(await pool.RentAsync());
        Assert.Equal(0, pool.Connector.Transports.Single().VanishedChecks);
    }

    [Fact]
    public async Task A_shorter_time_is_kept_whenever_the_sweep_ran()
    {
        // Returned right after a sweep, and rented right before the next one.
        await using PoolHarness pool = PoolHarness.Automatic(With(TimeSpan.FromSeconds(1)));
        await pool.FillAsync(1);
        for (int round = 1; round <= 20; round++)
        {
            pool.Pass(TimeSpan.FromSeconds(1.15), step: TimeSpan.FromSeconds(0.05));
            PoolHarness.Return(await pool.RentAsync());
            Assert.Equal(round, pool.Connector.Transports.Single().VanishedChecks);
        }
    }

    [Fact]
    public async Task The_peers_limit_is_learned_and_connections_are_left_to_it()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: Infinite, lifetime: Infinite));
        await LearnAsync(pool, 60);
        Assert.Equal(TimeSpan.FromSeconds(60), pool.Now.LearnedIdleLimit);

        // Below: lent as ever.
        PoolHarness.Return(await pool.RentAsync());
        pool.Pass(TimeSpan.FromSeconds(50));
        int dials = pool.Connector.Dials;
        PoolHarness.Return(await pool.RentAsync());
        Assert.Equal(dials, pool.Connector.Dials);

        // Just below: out of rotation, without a FIN of ours, until the peer closes.
        FakeTransport transport = pool.Connector.Transports.Last();
        transport.PeerHoldsOn = true;
        pool.Pass(TimeSpan.FromSeconds(59));
        pool.AssertCounts(idle: 0);
        Assert.Equal(1, pool.Now.Closing);
        transport.PeerCloses();
        await pool.UntilAsync(static now => now.Closing == 0);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_idle_limit"]);
    }

    [Fact]
    public async Task A_rent_between_two_sweeps_does_not_lend_it_either()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: Infinite, lifetime: Infinite));
        await LearnAsync(pool, 60);
        PoolHarness.Return(await pool.RentAsync());
        long old = pool.Connector.Opened;
        pool.Pass(TimeSpan.FromSeconds(55));
        pool.Time.Advance(TimeSpan.FromSeconds(3));
        PoolHarness.Return(await pool.RentAsync());
        Assert.Equal(old + 1, pool.Connector.Opened);
    }

    [Fact]
    public async Task A_limit_that_does_not_hold_is_forgotten()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: Infinite, lifetime: Infinite));
        await LearnAsync(pool, 60);
        PoolHarness.Return(await pool.RentAsync());
        FakeTransport transport = pool.Connector.Transports.Last();
        transport.PeerHoldsOn = true;
        pool.Pass(TimeSpan.FromSeconds(80));
        await transport.Closed.WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now is { Closing: 0, LearnedIdleLimit: null });
        Assert.Equal(1, pool.Now.ClosedByMethod["quiet"]);
    }

    [Fact]
    public async Task A_waiter_does_not_wait_for_the_peer()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, idle: Infinite, lifetime: Infinite));
        await LearnAsync(pool, 60);
        PoolHarness.Return(await pool.RentAsync());
        pool.Connector.Transports.Last().PeerHoldsOn = true;
        pool.Pass(TimeSpan.FromSeconds(59));
        Assert.Equal(1, pool.Now.Closing);
        PoolHarness.Return(await pool.RentAsync());
        Assert.Equal(TimeSpan.FromSeconds(60), pool.Now.LearnedIdleLimit);
    }

    [Fact]
    public async Task Clear_forgets_the_limit()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: Infinite, lifetime: Infinite));
        await LearnAsync(pool, 60);
        pool.Pool.Clear();
        Assert.Null(pool.Now.LearnedIdleLimit);
    }

    /// <summary>No close of ours would wait for the peer's, so nothing would ever show that the limit holds no more.</summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task Where_the_peers_close_is_not_waited_for_nothing_is_learned(bool clientFirst, bool unix)
    {
        PoolSettings settings = PoolHarness.Settings(idle: Infinite, lifetime: Infinite);
        settings = clientFirst ? ClientFirst(settings) : settings;
        settings = unix ? settings with { Address = EndpointAddress.Parse("unix:/run/x.sock") } : settings;
        await using PoolHarness pool = PoolHarness.Automatic(settings);
        await LearnAsync(pool, 60);
        Assert.Null(pool.Now.LearnedIdleLimit);
        PoolHarness.Return(await pool.RentAsync());
        pool.Pass(TimeSpan.FromSeconds(100));
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task A_reload_that_ends_the_waiting_for_the_peer_forgets_the_limit()
    {
        PoolSettings settings = PoolHarness.Settings(idle: Infinite, lifetime: Infinite);
        await using PoolHarness pool = PoolHarness.Automatic(settings);
        await LearnAsync(pool, 60);
        Assert.NotNull(pool.Now.LearnedIdleLimit);
        pool.Core.Apply(ClientFirst(settings));
        Assert.Null(pool.Now.LearnedIdleLimit);
    }

    private static PoolSettings ClientFirst(PoolSettings settings) =>
        settings with { Shutdown = settings.Shutdown with { ClosesFirst = ClosesFirst.Client } };

    private static PoolSettings With(TimeSpan? verifyAfter) =>
        PoolHarness.Settings(health: TestSettings.Health with { VerifyAfter = verifyAfter });

    /// <summary>The peer closes three connections, one after the other, when they have idled so long.</summary>
    private static async Task LearnAsync(PoolHarness pool, int seconds)
    {
        for (int i = 1; i <= 3; i++)
        {
            TcpLease lease = await pool.RentAsync();
            long id = lease.ConnectionId;
            PoolHarness.Return(lease);
            pool.Pass(TimeSpan.FromSeconds(seconds));
            pool.PeerWatch.CloseByPeer(id);
            await pool.UntilAsync(now => now.Closed == i);
        }

        pool.Maintain();
    }
}
