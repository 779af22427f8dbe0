using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>The word of a peer's close against everything else that may happen to a connection at that moment.</summary>
public sealed class PeerCloseTests
{
    [Fact]
    public async Task Idle_it_closes_at_once()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long[] ids = await pool.FillAsync(3);
        foreach (long id in ids)
        {
            // In the slot, and in the stack at the top and below it.
            pool.PeerWatch.CloseByPeer(id);
        }

        await pool.UntilAsync(static now => now.Closed == 3);
        Assert.Equal(3, pool.Now.ClosedByReason["peer_closed"]);
        Assert.Equal(3, pool.Now.ClosedByMethod["passive"]);
        Assert.Equal(3, pool.Now.ClosedByPeer);
        pool.AssertCounts(idle: 0, used: 0);
        Assert.Equal(0, pool.PeerWatch.Count);
    }

    [Fact]
    public async Task While_it_is_being_rented_the_rent_passes_it_over()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long[] ids = await pool.FillAsync(2);
        TcpConnection doomed = pool.PeerWatch.Find(ids[1]);
        FakeTransport transport = (FakeTransport)doomed.Transport;

        // The watcher's swap comes after the rent's: the flag is all that is left. It is up before the rent reads it.
        Assert.True(doomed.TryTake());
        pool.PeerWatch.CloseByPeer(ids[1]);
        Assert.True(doomed.PeerHasClosed);
        Assert.False(doomed.IsClosed);
        doomed.TakeBack();
        doomed.PublishIdle();

        TcpLease lease = await pool.RentAsync();
        Assert.Equal(ids[0], lease.ConnectionId);
        Assert.Equal(0, transport.Checks);
        await transport.Closed.WaitAsync(PoolHarness.Hang);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task After_the_rents_look_the_lease_is_left_alone_and_its_return_closes()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long id = (await pool.FillAsync(1))[0];
        FakeTransport transport = pool.Connector.Transports.Single();
        transport.OnCheckIdle = () =>
        {
            transport.OnCheckIdle = null;
            transport.PeerHasClosed = true;
            pool.PeerWatch.Raise(id);
        };

        TcpLease lease = await pool.RentAsync();
        Assert.Equal(id, lease.ConnectionId);
        Assert.False(transport.IsClosed);
        pool.AssertCounts(idle: 0, used: 1);

        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
    }

    [Fact]
    public async Task On_loan_it_is_not_touched_and_its_return_closes()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(1);
        TcpLease lease = await pool.RentAsync();
        FakeTransport transport = pool.Connector.Transports.Single();
        pool.PeerWatch.CloseByPeer(lease.ConnectionId);

        // The reply came before the FIN: the caller reads it.
        transport.Feed("+OK");
        Assert.Equal(3, await lease.ReceiveAsync(new byte[8]));
        Assert.False(transport.IsClosed);

        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
    }

    [Fact]
    public async Task From_caller_to_caller_nobody_watches_it_and_before_it_is_idle_somebody_does()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease first = await pool.RentAsync();
        Task<TcpLease> second = pool.RentAsync();
        PoolHarness.Return(first);
        TcpLease lease = await second;
        Assert.Equal(0, pool.PeerWatch.Count);

        // Idle already, it could be lent again before anybody knew.
        bool? wasIdle = null;
        pool.PeerWatch.OnAdd = connection => wasIdle = connection.IsIdle;
        PoolHarness.Return(lease);
        Assert.False(wasIdle);
        Assert.Equal(1, pool.PeerWatch.Count);

        // Once in its life.
        pool.PeerWatch.OnAdd = static _ => Assert.Fail("It was watched already.");
        PoolHarness.Return(await pool.RentAsync());
        pool.AssertCounts(idle: 1);
    }

    /// <summary>The registration reports what happened before.</summary>
    [Fact]
    public async Task In_its_first_lease_its_return_finds_out()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        transport.PeerClosesNow();
        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
        Assert.Equal(0, pool.PeerWatch.Count);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task One_whose_returns_do_more_is_watched_from_its_dial_on()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync(new FakeTransport { MustPark = true, ParkResult = false });
        transport.OnPark = static () => Assert.Fail("There is nobody to park for.");
        pool.PeerWatch.CloseByPeer(lease.ConnectionId);
        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
    }

    [Fact]
    public async Task One_that_a_second_disposal_returned_and_somebody_closed_meanwhile_is_forgotten()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        TcpLease lease = await pool.RentAsync();
        TcpLease copy = lease;
        pool.PeerWatch.BeforeAdd = () =>
        {
            pool.PeerWatch.BeforeAdd = null;
            copy.Dispose();
            pool.AssertCounts(idle: 1);
            pool.Pool.Clear();
        };
        PoolHarness.Return(lease);
        Assert.Equal(0, pool.PeerWatch.Count);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task One_that_is_used_once_is_never_watched()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(maxUses: 1));
        pool.PeerWatch.OnAdd = static _ => Assert.Fail("It will never be idle.");
        PoolHarness.Return(await pool.RentAsync());
        Assert.Equal(1, pool.Now.ClosedByReason["max_uses"]);
    }

    [Fact]
    public async Task During_the_return_it_is_found_after_the_publication()
    {
        await using PoolHarness pool = new();

        // Parking comes between the return's first look and the publication.
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync(new FakeTransport { MustPark = true });
        PoolHarness.Return(lease);
        lease = await pool.RentAsync();
        long id = lease.ConnectionId;
        transport.OnPark = () => pool.PeerWatch.CloseByPeer(id);
        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task Between_publication_and_push_nobody_evicts_it_and_the_returner_looks()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long[] ids = await pool.FillAsync(2);
        TcpConnection connection = pool.PeerWatch.Find(ids[0]);
        Assert.Equal(-1, connection.Slot);

        // As a returner that was stopped before its push.
        TcpLease slot = await pool.RentAsync();
        TcpLease lease = await pool.RentAsync();
        Assert.Equal(ids[0], lease.ConnectionId);
        Assert.True(connection.TryEndAny(connection.CurrentVersion, out _));
        connection.RenewHandle();
        connection.PublishIdle();
        pool.PeerWatch.CloseByPeer(ids[0]);
        Assert.True(connection.IsIdle);
        Assert.True(connection.PeerHasClosed);

        // It goes on, as LookAfterPublication would: and what it does last finds the flag.
        Assert.True(connection.TryTakeBack(connection.CurrentVersion));
        connection.TakeBack();
        connection.LendDirectly();
        connection.BeginLease();
        PoolHarness.Return(new TcpLease(connection.LendHandle()));
        Assert.True(((FakeTransport)connection.Transport).IsClosed);
        PoolHarness.Return(slot);
        pool.AssertCounts(idle: 1, used: 0);
    }

    [Fact]
    public async Task As_soon_as_it_is_open_the_dial_has_failed_and_nobody_is_lent_it()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(failuresToOpen: 2));
        pool.Connector.Automatic = static _ => new FakeTransport { PeerHasClosed = true };
        for (int i = 1; i <= 2; i++)
        {
            EndpointUnavailableException error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.RentAsync());
            Assert.Contains("closed the connection as soon as it was open", error.InnerException!.Message, StringComparison.Ordinal);
            Assert.Equal(i, pool.Now.DialsFailed);
        }

        Assert.Equal(BreakerState.Open, pool.Now.BreakerState);
        Assert.Equal(0, pool.Now.Created);
        Assert.Equal(0, pool.PeerWatch.Count);
        pool.AssertCounts(idle: 0, used: 0);
        Assert.Equal(2, pool.Connector.ClosedCount);
    }

    /// <summary>Its FIN comes a moment after the dial's look: each dial succeeds, and each close asks for the next one.</summary>
    [Theory]
    [InlineData((int)IdleVerdict.PeerClosed)]
    [InlineData((int)IdleVerdict.UnreadBytes)]
    public async Task A_server_that_accepts_and_then_closes_is_dialed_for_MinIdleConnections_once_a_sweep(int verdict)
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(minIdle: 1));
        for (int round = 1; round <= 3; round++)
        {
            pool.Time.Advance(TimeSpan.FromSeconds(5));
            pool.Maintain();
            await pool.UntilAsync(static now => now.Idle == 1);
            await PoolHarness.UntilAsync(() => pool.PeerWatch.Count == 1);
            FakeTransport transport = pool.Connector.Transports.Last();
            transport.PeerClosesNow();
            transport.Verdict = (IdleVerdict)verdict;
            pool.PeerWatch.Raise(pool.PeerWatch.AnyId()!.Value);
            await pool.UntilAsync(now => now.Closed == round);

            // What the close asked for, and more of it.
            pool.Maintain();
            pool.Maintain();
            pool.AssertCounts(idle: 0, connecting: 0);
            Assert.Equal(round, pool.Connector.Dials);
        }
    }

    [Fact]
    public async Task One_found_closed_on_its_way_to_idle_is_not_replaced_at_once_either()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(minIdle: 1));

        // Between the dial's look and the publication.
        pool.PeerWatch.OnAdd = connection => pool.PeerWatch.CloseByPeer(connection.Id);
        pool.Maintain();
        await pool.UntilAsync(static now => now.Closed == 1);
        pool.Maintain();
        pool.AssertCounts(idle: 0, connecting: 0);
        Assert.Equal(1, pool.Connector.Dials);
    }

    [Fact]
    public async Task A_spurious_event_closes_nothing_and_leaves_the_connection_to_the_sweep()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long id = (await pool.FillAsync(1))[0];
        pool.PeerWatch.Raise(id);
        pool.AssertCounts(idle: 1);
        Assert.False(pool.PeerWatch.Find(id).PeerHasClosed);

        TcpLease lease = await pool.RentAsync();
        Assert.Equal(id, lease.ConnectionId);
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);

        // The event may have been early; there will not be another.
        pool.Connector.Transports.Single().PeerClosesNow();
        pool.Pass(TimeSpan.FromSeconds(10));
        await pool.UntilAsync(static now => now.Closed == 1);
    }

    [Fact]
    public async Task Where_nothing_watches_the_sweep_looks()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        pool.PeerWatch.Fails = true;
        await pool.FillAsync(3);
        pool.Connector.Transports.ElementAt(1).PeerClosesNow();
        pool.Pass(TimeSpan.FromSeconds(10));
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
        pool.AssertCounts(idle: 2);
    }

    [Fact]
    public async Task What_is_watched_is_not_asked_by_the_sweep()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(1);
        pool.Connector.Transports.Single().PeerClosesNow();
        pool.Pass(TimeSpan.FromSeconds(20));
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task Bytes_that_nobody_asked_for_before_the_fin_count_as_such()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long id = (await pool.FillAsync(1))[0];
        FakeTransport transport = pool.Connector.Transports.Single();
        transport.PeerClosesNow();
        transport.Verdict = IdleVerdict.UnreadBytes;
        pool.PeerWatch.Raise(id);
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["health_check_failed"]);
        Assert.Equal(1, pool.Now.ClosedByMethod["passive"]);
    }

    [Fact]
    public async Task What_keepalive_gave_up_has_vanished()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long id = (await pool.FillAsync(1))[0];
        FakeTransport transport = pool.Connector.Transports.Single();
        transport.PeerClosesNow();
        transport.Verdict = IdleVerdict.Vanished;
        pool.PeerWatch.Raise(id);
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["vanished"]);
    }

    [Fact]
    public async Task A_close_while_the_sweep_rebuilds_the_stack_is_found_after_it()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 4));
        long[] ids = await pool.FillAsync(4);

        // A dead link makes the sweep rebuild; at that moment a live one is idle and not to be evicted.
        pool.PeerWatch.CloseByPeer(ids[1]);
        await pool.UntilAsync(static now => now.Closed == 1);
        TcpConnection second = pool.PeerWatch.Find(ids[2]);
        second.Linked = false;
        pool.PeerWatch.CloseByPeer(ids[2]);
        Assert.True(second.IsIdle);
        second.Linked = true;

        pool.Pass(TimeSpan.FromSeconds(5));
        await pool.UntilAsync(static now => now.Closed == 2);
        pool.AssertCounts(idle: 2);
    }

    [Fact]
    public async Task Closes_rents_and_returns_at_once_lose_nothing()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 8, failuresToOpen: int.MaxValue), idleSlots: 2, background: true);
        using CancellationTokenSource end = new();
        Task watcher = Task.Run(() =>
        {
            while (!end.IsCancellationRequested)
            {
                foreach (FakeTransport transport in pool.Connector.Transports.TakeLast(8))
                {
                    transport.PeerHasClosed |= !transport.IsClosed && Random.Shared.Next(4) == 0;
                }

                pool.PeerWatch.RaiseAll();
            }
        });
        Task[] callers = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (int i = 0; i < 3000; i++)
            {
                try
                {
                    PoolHarness.Return(await pool.RentAsync());
                }
                catch (EndpointUnavailableException)
                {
                    // Closed before its dial was over.
                }
            }
        }))];
        await Task.WhenAll(callers).WaitAsync(PoolHarness.Hang);
        await end.CancelAsync();
        await watcher;
        await pool.UntilAsync(now => now is { Connecting: 0, Closing: 0, Used: 0 } && pool.Connector.Live == now.Idle);
        await pool.StopMaintenanceAsync();
        pool.AssertCounts(used: 0, waiting: 0);
    }
}
