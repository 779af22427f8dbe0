using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Ports;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Connections on their way out, as far as they concern the pool: places, counts, waiters and the books.</summary>
public sealed class ClosingTests
{
    [Fact]
    public async Task A_closing_connection_holds_its_place_until_it_is_closed()
    {
        // Client first is never hurried: the next rent comes when the close has ended.
        await using PoolHarness pool = Closing(ClosesFirst.Client, max: 1);
        (await pool.RentAsync()).Dispose();
        FakeTransport first = pool.Connector.Transports.Single();
        Assert.Equal("abort", first.Moves);

        PoolHarness.Return(await pool.RentAsync());
        pool.AssertCounts(idle: 0, used: 0);
        Assert.Equal(1, pool.Now.Closing);
        Task<TcpLease> rent = pool.RentAsync();
        pool.AssertCounts(waiting: 1, connecting: 0);
        Assert.False(rent.IsCompleted);

        pool.Connector.Transports.Last().PeerCloses();
        await rent;
        pool.AssertCounts(used: 1);
        Assert.Equal(0, pool.Now.Closing);
    }

    /// <summary>A mark that outlived the surplus had everybody who published a connection take it and put it back until the closes ended.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_lowered_limit_holds_nobody_up_while_its_closes_take_their_time(bool areOut)
    {
        await using PoolHarness pool = Closing(ClosesFirst.Server, max: 4);
        TcpLease[] leases = [await pool.RentAsync(), await pool.RentAsync(), await pool.RentAsync(), await pool.RentAsync()];
        if (!areOut)
        {
            pool.Core.Apply(pool.Core.Settings with { MaxUses = int.MaxValue });
            Array.ForEach(leases, PoolHarness.Return);
        }

        Task lowered = Task.Run(() =>
        {
            pool.Core.Apply(pool.Core.Settings with { MaxUses = int.MaxValue, MaxConnections = 2 });
            if (areOut)
            {
                Array.ForEach(leases, PoolHarness.Return);
            }
        });

        await lowered.WaitAsync(PoolHarness.Hang);
        pool.AssertCounts(idle: 2, used: 0);
        Assert.Equal(2, pool.Now.Closing);
    }

    [Fact]
    public async Task As_many_closings_are_escalated_as_waiters_lack_a_place_the_oldest_first()
    {
        await using PoolHarness pool = Closing(ClosesFirst.Server, max: 4);

        // The clock below steps until the others have done their part, however long that takes: no limit of this test may
        // be among what it reaches.
        TimeSpan never = TimeSpan.FromDays(1);
        pool.Core.Apply(PoolHarness.Settings(max: 4, maxUses: 1, rent: Timeout.InfiniteTimeSpan, lifetime: Timeout.InfiniteTimeSpan) with
        {
            Shutdown = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Server, GoodbyeTimeout = never, DrainTimeout = never, ServerCloseTimeout = never },
        });

        // Escalated, they stay: their last words do not leave before DrainTimeout.
        pool.Connector.Automatic = static _ => new FakeTransport { IsTls = true, HoldFarewells = true };
        await ChurnAsync(pool, 4);
        Assert.Equal(4, pool.Now.Closing);
        FakeTransport[] closing = [.. pool.Connector.Transports];
        Task EscalatedAsync(int count) => PoolHarness.UntilAsync(() =>
        {
            // The farewell's answer is left its time.
            pool.Time.Advance(TimeSpan.FromMilliseconds(1));
            return closing.Count(static t => t.Moves.Contains("limit", StringComparison.Ordinal)) == count;
        });
        pool.Connector.Automatic = static _ => new FakeTransport();

        Task<TcpLease> first = pool.RentAsync();
        await EscalatedAsync(1);
        for (int pass = 0; pass < 5; pass++)
        {
            // Each is a pass of the planner, which finds the same waiter without a place.
            pool.Pool.Resume();
        }

        using CancellationTokenSource leaves = new();
        Task<TcpLease> second = pool.RentAsync(leaves.Token);
        await EscalatedAsync(2);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Task<TcpLease> third = pool.RentAsync();
        pool.Pool.Resume();
        pool.AssertCounts(waiting: 2);
        Assert.Equal([true, true, false, false], closing.Select(static t => t.Moves.Contains("limit", StringComparison.Ordinal)));

        pool.Time.Advance(never);
        await first;
        await third;
        pool.AssertCounts(used: 2, waiting: 0);
    }

    [Fact]
    public async Task Under_client_first_nobody_is_escalated_and_the_rent_ends_at_its_deadline()
    {
        PoolSettings settings = PoolHarness.Settings(max: 1, maxUses: 1, rent: TimeSpan.FromSeconds(1));
        await using PoolHarness pool = PoolHarness.Automatic(settings with { Shutdown = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Client } });
        pool.Connector.Automatic = static _ => new FakeTransport { PeerHoldsOn = true };
        await ChurnAsync(pool, 1);
        Task<TcpLease> rent = pool.RentAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(1));
        RentTimeoutException e = await Assert.ThrowsAsync<RentTimeoutException>(() => rent);
        Assert.Contains("closing 1", e.Message, StringComparison.Ordinal);
        Assert.Equal("limit drain fin wait", pool.Connector.Transports.Single().Moves);
    }

    [Fact]
    public async Task The_snapshot_tells_method_and_initiator_of_each_close_once()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 10));
        TcpLease byPeer = await pool.RentAsync();
        pool.Connector.Transports.Last().Facts = new() { State = PooledTcp.Connections.TcpSocketState.CloseWait };
        byPeer.Discard();
        byPeer.Dispose();
        (await pool.RentAsync()).Dispose();

        TcpLease interrupted = await pool.RentAsync();
        pool.Pool.Clear(interruptLeases: true);
        PoolHarness.Return(interrupted);
        interrupted.Dispose();
        PoolHarness.Return(await pool.RentAsync());
        pool.Pool.Clear();

        TcpPoolSnapshot now = pool.Now;
        Assert.Equal(4, now.Closed);
        Assert.Equal(1, now.ClosedByPeer);
        Assert.Equal(
            [("abort", 2L), ("graceful", 1L), ("passive", 1L)],
            now.ClosedByMethod.OrderBy(static m => m.Key, StringComparer.Ordinal).Select(static m => (m.Key, m.Value)));
        Assert.Equal(2, now.ClosedByReason["cleared"]);
        Assert.Equal(2, now.ClosedByReason["abandoned"]);
    }

    [Fact]
    public async Task Interrupted_evicted_and_returned_at_once_a_connection_is_closed_and_counted_once()
    {
        const int Rounds = 300;
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 2, maxUses: 1));
        for (int round = 0; round < Rounds; round++)
        {
            TcpLease lease = await pool.RentAsync();
            using Barrier start = new(3);
            await Task.WhenAll(
                Task.Run(() => Race(start, () => pool.Pool.Clear(interruptLeases: true))),
                Task.Run(() => Race(start, () => PoolHarness.Return(lease))),
                Task.Run(() => Race(start, () => pool.Maintain()))).WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        }

        await pool.UntilAsync(static now => now is { Used: 0, Closing: 0, Connecting: 0 });
        TcpPoolSnapshot end = pool.Now;
        Assert.Equal(Rounds, end.Created);
        Assert.Equal(Rounds, end.Closed);
        Assert.Equal(Rounds, end.ClosedByReason.Values.Sum());
        Assert.Equal(Rounds, end.ClosedByMethod.Values.Sum());
        Assert.Equal(0, end.ClosedByPeer);
        Assert.All(pool.Connector.Transports, static t => Assert.Equal(1, t.Closings));

        static void Race(Barrier start, Action action)
        {
            start.SignalAndWait(PoolHarness.Hang);
            action();
        }
    }

    [Fact]
    public async Task Two_returns_that_see_one_surplus_do_not_both_leave()
    {
        // Each round lowers the limit under idle connections while two more come back.
        for (int round = 0; round < 300; round++)
        {
            await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 3), hooks: new() { Reset = static (_, _) => default });
            TcpLease[] leases = [await pool.RentAsync(), await pool.RentAsync(), await pool.RentAsync()];
            pool.Core.Apply(PoolHarness.Settings(max: 2));
            using Barrier start = new(3);
            await Task.WhenAll(leases.Select(lease => Task.Run(() =>
            {
                start.SignalAndWait(PoolHarness.Hang);
                PoolHarness.Return(lease);
            }))).WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
            await pool.UntilAsync(static now => now is { Used: 0, Closing: 0 });
            pool.AssertCounts(idle: 2);
        }
    }

    [Fact]
    public async Task The_snapshot_counts_ports_and_TIME_WAITs_until_they_have_run_out()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 4));
        pool.Connector.Automatic = _ => WithPort(pool, 7000, usable: 64);
        TcpLease lease = await pool.RentAsync();
        Assert.Equal((1, 64, 0), (pool.Now.PortsUsed, pool.Now.PortBudget, pool.Now.TimeWaitOwed));

        PoolHarness.Return(lease);
        pool.Core.Apply(PoolHarness.Settings(max: 4) with { Ports = new PortPolicy { Budget = 10 } });
        Assert.Equal((1, 10, 0), (pool.Now.PortsUsed, pool.Now.PortBudget, pool.Now.TimeWaitOwed));
        pool.Pool.Clear();
        Assert.Equal((1, 10, 1), (pool.Now.PortsUsed, pool.Now.PortBudget, pool.Now.TimeWaitOwed));
        pool.Time.Advance(TimeSpan.FromSeconds(65.2));
        Assert.Equal((0, 0, 0), (pool.Now.PortsUsed, pool.Now.PortBudget, pool.Now.TimeWaitOwed));
    }

    [Fact]
    public async Task Accounts_that_fell_out_of_use_do_not_pile_up_without_snapshots()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, maxUses: 1) with { Ports = new PortPolicy { TimeWaitShare = 0 } });
        int port = 7000;
        pool.Connector.Automatic = _ => WithPort(pool, port++, usable: 64);
        for (int i = 0; i < 200; i++)
        {
            await ChurnAsync(pool, 1);
            pool.Time.Advance(PortLedger.FailureHold);
        }

        object accounts = typeof(PooledTcp.Pooling.ConnectionPool)
            .GetField("_accounts", System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance)!.GetValue(pool.Core)!;
        Assert.InRange(((HashSet<PortAccount>)accounts).Count, 1, 16);

        // A freed port is remembered for a while; then the ledger, too, has forgotten.
        pool.Time.Advance(PortLedger.FailureHold);
        Assert.Equal(0, pool.Services.Ports.Ledger.Count);
    }

    [Fact]
    public async Task Client_first_closes_although_this_hosts_share_is_less_than_one()
    {
        PoolSettings settings = PoolHarness.Settings(max: 1, maxUses: 1) with
        {
            Shutdown = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Client },
            Ports = new PortPolicy { TimeWaitShare = 0.01 },
        };
        await using PoolHarness pool = PoolHarness.Automatic(settings);
        pool.Connector.Automatic = _ => WithPort(pool, 7000, usable: 64);
        Assert.Equal(0, settings.Ports.TokensOf(64));
        await ChurnAsync(pool, 1);
        Assert.Equal(1, pool.Now.ClosedByMethod["graceful"]);
        Assert.Equal(1, pool.Now.TimeWaitOwed);
    }

    [Fact]
    public async Task A_goodbye_that_throws_costs_nobody_anything()
    {
        await using PoolHarness pool = PoolHarness.Automatic(
            PoolHarness.Settings(max: 1, maxUses: 1), hooks: new() { Goodbye = static _ => throw new InvalidOperationException("user code") });
        await ChurnAsync(pool, 3);
        pool.AssertCounts(idle: 0, used: 0);
        Assert.Equal(3, pool.Now.ClosedByMethod["graceful"]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_end_of_the_pool_waits_for_no_servers_own_close(bool drain)
    {
        await using PoolHarness pool = Closing(ClosesFirst.Server, max: 2);
        await ChurnAsync(pool, 2);
        Assert.Equal(2, pool.Now.Closing);
        Task end;
        if (drain)
        {
            end = pool.Core.DrainAsync();
        }
        else
        {
            pool.Core.Close();
            end = pool.Core.FinishClosingAsync();
        }

        await end.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.Equal(0, pool.Connector.Live);
        Assert.Equal(2, pool.Now.ClosedByMethod["quiet"]);
    }

    internal static FakeTransport WithPort(PoolHarness pool, int port, int usable)
    {
        PortLedger ledger = pool.Services.Ports.Ledger;
        PortAccount account = ledger.Connecting(PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.1"), port)), new PortRange(40000, 40000 + usable - 1), usable);
        ledger.Connected(account);
        return new FakeTransport { Account = account };
    }

    private static PoolHarness Closing(ClosesFirst first, int max)
    {
        PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: max, maxUses: 1) with { Shutdown = TestSettings.Shutdown with { ClosesFirst = first } });
        pool.Connector.Automatic = static _ => new FakeTransport { PeerHoldsOn = true };
        return pool;
    }

    /// <summary>Rents as many at once, and returns them for the last time.</summary>
    private static async Task ChurnAsync(PoolHarness pool, int count)
    {
        int max = pool.Now.MaxConnections;
        for (int done = 0; done < count; done += max)
        {
            TcpLease[] leases = new TcpLease[Math.Min(max, count - done)];
            for (int i = 0; i < leases.Length; i++)
            {
                leases[i] = await pool.RentAsync();
            }

            Array.ForEach(leases, PoolHarness.Return);
        }
    }
}
