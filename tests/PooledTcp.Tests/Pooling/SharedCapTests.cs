using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Ports;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>MaxTotalConnections: who gets a place, and who gives one up for whom.</summary>
public sealed class SharedCapTests
{
    [Fact]
    public async Task A_rent_beyond_the_limit_waits_for_a_place()
    {
        await using KeyedPools pools = new(max: 2, keys: 2);
        TcpLease first = await pools[0].RentAsync();
        TcpLease second = await pools[0].RentAsync();
        Task<TcpLease> rent = pools[1].RentAsync();
        Assert.Equal((2, 2, 1), pools.Cap.Places);
        Assert.Equal(0, pools[1].Connector.Dials);

        first.Dispose();
        await rent;
        Assert.Equal((2, 2, 0), pools.Cap.Places);
        Assert.Equal(2, pools.Sockets.Peak);
        PoolHarness.Return(second);
    }

    [Fact]
    public async Task Idle_ones_of_other_keys_give_way_the_least_recently_used_first()
    {
        await using KeyedPools pools = new(max: 4, keys: 4);
        foreach (int key in (int[])[2, 0, 1])
        {
            await pools[key].FillAsync(1);
            pools.Time.Advance(TimeSpan.FromSeconds(1));
            pools.Services.Clock.Read();
        }

        TcpLease[] leases = [await pools[3].RentAsync(), await pools[3].RentAsync()];
        Assert.Equal((1, 1, 0), (pools[0].Now.Idle, pools[1].Now.Idle, pools[2].Now.Idle));
        Assert.Equal(1, pools[2].SharedCapCloses);

        // Hurried: whoever waits does not wait for a peer's answer.
        Assert.Equal(1, pools[2].Now.ClosedByMethod["quiet"]);

        leases = [.. leases, await pools[3].RentAsync()];
        Assert.Equal((0, 1), (pools[0].Now.Idle, pools[1].Now.Idle));
        Assert.Equal(4, pools.Sockets.Peak);
        Array.ForEach(leases, PoolHarness.Return);
    }

    [Fact]
    public async Task One_waiter_costs_one_idle_connection()
    {
        await using KeyedPools pools = new(max: 3, keys: 2);
        await pools[0].FillAsync(3);
        await pools.PassTurnAsync();
        PoolHarness.Return(await pools[1].RentAsync());
        await pools.UntilAsync(() => pools[0].Now is { Idle: 2, Closing: 0 });
        await pools.PassTurnAsync();
        Assert.Equal(2, pools[0].Now.Idle);
    }

    [Fact]
    public async Task An_idle_connection_has_its_turn_before_it_gives_way()
    {
        await using KeyedPools pools = new(max: 1, keys: 2);
        TcpLease lease = await pools[0].RentAsync();
        Task<TcpLease> rent = pools[1].RentAsync();
        PoolHarness.Return(lease);

        // Its own key may use it meanwhile.
        Assert.True(pools[0].Pool.TryRent(out lease));
        PoolHarness.Return(lease);
        Assert.Equal(1, pools[0].Now.Idle);
        Assert.False(rent.IsCompleted);

        PoolHarness.Return(await pools.WhileTurnsPassAsync(rent));
        Assert.Equal(1, pools[0].SharedCapCloses);
    }

    [Fact]
    public async Task After_its_turn_a_returned_connection_gives_way_although_its_own_key_waits()
    {
        await using KeyedPools pools = new(max: 1, keys: 2);
        TcpLease lease = await pools[0].RentAsync();
        Task<TcpLease> own = pools[0].RentAsync();
        Task<TcpLease> other = pools[1].RentAsync();

        // Within the turn it goes to its own waiter, also when it is known that nothing is idle.
        await pools.UntilAsync(() => !pools.Cap.IsLooking);
        PoolHarness.Return(lease);
        lease = await own;
        Assert.True(lease.IsReused);
        own = pools[0].RentAsync();
        await pools.PassTurnAsync();
        PoolHarness.Return(lease);
        lease = await other;
        Assert.False(own.IsCompleted);
        Assert.Equal(1, pools[0].SharedCapCloses);

        await pools.PassTurnAsync();
        PoolHarness.Return(lease);
        PoolHarness.Return(await own);
        Assert.Equal(1, pools.Sockets.Peak);
    }

    [Fact]
    public async Task Places_go_round_one_to_each_key_in_turn()
    {
        await using KeyedPools pools = new(max: 1, keys: 4);
        TcpLease first = await pools[0].RentAsync();

        // Key 1 is greedy, and was there first.
        (int Key, Task<TcpLease> Rent)[] waiting = [.. ((int[])[1, 1, 1, 1, 1, 1, 2, 2, 3, 3]).Select(key => (key, pools[key].RentAsync()))];
        List<int> order = [];
        await pools.PassTurnAsync();
        PoolHarness.Return(first);
        for (int i = 0; i < waiting.Length; i++)
        {
            await Task.WhenAny(waiting.Where(w => w.Rent is not null).Select(static w => w.Rent));
            int at = Array.FindIndex(waiting, static w => w.Rent is { IsCompleted: true });
            order.Add(waiting[at].Key);
            TcpLease lease = await waiting[at].Rent;
            waiting[at].Rent = null!;
            await pools.PassTurnAsync();
            PoolHarness.Return(lease);
        }

        Assert.Equal([1, 2, 3, 1, 2, 3, 1, 1, 1, 1], order);
        Assert.Equal(1, pools.Sockets.Peak);

        // Nobody else waited at the end: the last ones had one connection.
        Assert.Equal(3, pools[1].Now.Created);
    }

    [Fact]
    public async Task Keys_end_up_with_equal_shares_and_then_nothing_moves()
    {
        await using KeyedPools pools = new(max: 4, keys: 2);
        List<TcpLease> greedy = [];
        for (int i = 0; i < 4; i++)
        {
            greedy.Add(await pools[0].RentAsync());
        }

        Queue<Task<TcpLease>> greedyWaits = new(Enumerable.Range(0, 20).Select(_ => pools[0].RentAsync()));
        Task<TcpLease>[] others = [.. Enumerable.Range(0, 5).Select(_ => pools[1].RentAsync())];
        await pools.PassTurnAsync();
        PoolHarness.Return(greedy[0]);
        PoolHarness.Return(await others[0]);
        TcpLease second = await others[1];
        PoolHarness.Return(greedy[1]);
        await others[2];
        Assert.Equal((2, 2), (pools[0].Now.Used, pools[1].Now.Used));

        // Both keys have waiters, and each its share.
        await pools.PassTurnAsync();
        PoolHarness.Return(greedy[2]);
        PoolHarness.Return(second);
        await others[3];
        await greedyWaits.Dequeue();
        Assert.Equal(2, pools[0].SharedCapCloses);
        Assert.Equal(0, pools[1].SharedCapCloses);
        Assert.Equal((4, 4, 2), pools.Cap.Places);
    }

    [Fact]
    public async Task A_closing_connection_holds_its_place_and_is_hurried()
    {
        await using KeyedPools pools = new(max: 1, keys: 2);
        pools[0].Connector.Automatic = static _ => new FakeTransport { PeerHoldsOn = true };
        await pools[0].FillAsync(1);
        pools[0].Pool.Clear();
        Assert.Equal(1, pools[0].Now.Closing);
        Assert.Equal((1, 1, 0), pools.Cap.Places);

        PoolHarness.Return(await pools[1].RentAsync());
        Assert.Equal("limit fin wait forget close", pools[0].Connector.Transports.Single().Moves.Replace("drain ", "", StringComparison.Ordinal));
        Assert.Equal(1, pools.Sockets.Peak);
    }

    [Fact]
    public async Task Where_the_client_is_to_close_first_the_place_comes_when_the_close_has_ended()
    {
        PoolSettings settings = KeyedPools.LongSettings() with { Shutdown = Connections.TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Client } };
        await using KeyedPools pools = new(max: 1, keys: 2, settings);
        pools[0].Connector.Automatic = static _ => new FakeTransport { PeerHoldsOn = true };
        await pools[0].FillAsync(1);
        await pools.PassTurnAsync();
        Task<TcpLease> rent = pools[1].RentAsync();
        await pools.UntilAsync(() => pools[0].Now.Closing == 1);
        Assert.False(rent.IsCompleted);
        pools[0].Connector.Transports.Single().PeerCloses();
        PoolHarness.Return(await rent);
        Assert.Equal(1, pools.Sockets.Peak);
    }

    [Fact]
    public async Task A_connection_that_could_not_close_for_want_of_a_token_does_not_give_way()
    {
        PoolSettings settings = KeyedPools.LongSettings() with { Shutdown = Connections.TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Client } };
        await using KeyedPools pools = new(max: 2, keys: 3, settings);
        PortLedger ledger = pools.Services.Ports.Ledger;
        PortAccount account = ledger.Connecting(PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 7)), new PortRange(40000, 40003), 4);
        ledger.Connected(account);
        ledger.Connecting(account.Tuple, account.Range, 4);
        ledger.Connected(account);
        while (ledger.TryTakeToken(account, 1))
        {
            // The share is used up.
        }

        pools[0].Connector.Automatic = _ => new FakeTransport { Account = account };
        await pools[0].FillAsync(1);
        await pools.PassTurnAsync();
        pools.Services.Clock.Read();
        await pools[1].FillAsync(1);
        await pools.PassTurnAsync();
        PoolHarness.Return(await pools[2].RentAsync());

        // The least recently used one stays; the next one went.
        Assert.Equal(1, pools[0].Now.Idle);
        Assert.Equal(1, pools[1].SharedCapCloses);
    }

    [Fact]
    public async Task A_failed_dial_gives_its_place_to_the_next()
    {
        await using KeyedPools pools = new(max: 1, keys: 2);
        pools[0].Connector.Automatic = null;
        Task<TcpLease> failing = pools[0].RentAsync();
        FakeDial dial = await pools[0].Connector.NextAsync();
        Task<TcpLease> rent = pools[1].RentAsync();
        dial.Fail();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => failing);
        PoolHarness.Return(await rent);
        Assert.Equal(1, pools.Sockets.Peak);
    }

    [Fact]
    public async Task A_dial_without_a_port_gives_its_place_to_the_next()
    {
        await using KeyedPools pools = new(max: 1, keys: 2);
        pools[0].Connector.Automatic = null;
        Task<TcpLease> waiting = pools[0].RentAsync();
        FakeDial dial = await pools[0].Connector.NextAsync();
        Task<TcpLease> rent = pools[1].RentAsync();
        dial.Fail(new NoLocalPortException("64 of 64 taken", null));
        PoolHarness.Return(await rent);
        Assert.False(waiting.IsCompleted);
    }

    [Fact]
    public async Task A_warm_up_takes_only_what_nobody_waits_for()
    {
        await using KeyedPools pools = new(max: 1, keys: 3);
        TcpLease lease = await pools[0].RentAsync();
        Task warm = pools[1].Pool.WarmUpAsync(1, TestContext.Current.CancellationToken);
        await pools.PassTurnAsync();
        PoolHarness.Return(lease);

        // Nobody waits for a place: the connection stays where it is.
        Assert.Equal(1, pools[0].Now.Idle);
        Assert.False(pools.Cap.IsTight);
        PoolHarness.Return(await pools[2].RentAsync());
        Assert.False(warm.IsCompleted);

        pools[2].Pool.Clear();
        await warm.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.Equal(1, pools[1].Now.Idle);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => pools[1].Pool.WarmUpAsync(2, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task MinIdleConnections_take_only_what_nobody_waits_for()
    {
        await using KeyedPools pools = new(max: 1, keys: 2);
        pools[1].Core.Apply(KeyedPools.LongSettings(minIdle: 1));
        await pools[0].FillAsync(1);
        await pools.PassTurnAsync();
        pools[1].Core.Maintain(pools.Services.Clock.Read(), out _);
        Assert.Equal(0, pools[1].Connector.Dials);
        Assert.Equal(1, pools[0].Now.Idle);

        pools[0].Pool.Clear();
        pools[1].Core.Maintain(pools.Services.Clock.Read(), out _);
        await pools.UntilAsync(() => pools[1].Now.Idle == 1);
    }

    [Fact]
    public async Task A_raised_limit_serves_at_once()
    {
        await using KeyedPools pools = new(max: 1, keys: 3);
        TcpLease lease = await pools[0].RentAsync();
        Task<TcpLease>[] rents = [pools[1].RentAsync(), pools[2].RentAsync()];
        pools.Cap.Resize(3);
        PoolHarness.Return(await rents[0]);
        PoolHarness.Return(await rents[1]);
        PoolHarness.Return(lease);
        Assert.False(pools.Cap.IsTight);
        Assert.Equal((0, 0), (pools[0].SharedCapCloses, pools[1].SharedCapCloses));
    }

    [Fact]
    public async Task A_lowered_limit_closes_idle_ones_at_once_and_the_others_as_they_come_back()
    {
        await using KeyedPools pools = new(max: 6, keys: 3);
        await pools[0].FillAsync(2);
        TcpLease[] leases = [await pools[1].RentAsync(), await pools[1].RentAsync(), await pools[2].RentAsync()];
        pools[2].Connector.Automatic = null;
        Task<TcpLease> late = pools[2].RentAsync();
        FakeDial dial = await pools[2].Connector.NextAsync();

        pools.Cap.Resize(1);
        await pools.UntilAsync(() => pools[0].Now is { Idle: 0, Closing: 0 });
        Assert.Equal((4, 1, 0), pools.Cap.Places);

        // Not lent, not kept: its waiter waits for a place like everybody.
        dial.Open();
        await pools.UntilAsync(() => pools[2].SharedCapCloses == 1 && pools[2].Now.Closing == 0);
        Assert.False(late.IsCompleted);
        pools.Sockets.Restart();
        pools[2].Connector.Automatic = static _ => new FakeTransport();
        PoolHarness.Return(leases[0]);
        PoolHarness.Return(leases[1]);
        Assert.Equal(1, pools.Cap.Places.Used);
        PoolHarness.Return(await pools.WhileTurnsPassAsync(Return(leases[2], late)));
        Assert.Equal(1, pools.Cap.Places.Used);
        Assert.InRange(pools.Sockets.Peak, 0, 1);

        static Task<TcpLease> Return(TcpLease lease, Task<TcpLease> next)
        {
            PoolHarness.Return(lease);
            return next;
        }
    }

    [Fact]
    public async Task Above_a_lowered_limit_a_close_that_frees_no_place_makes_an_idle_one_give_way()
    {
        await using KeyedPools pools = new(max: 3, keys: 4);
        pools[0].Connector.Automatic = static _ => new FakeTransport { IsTls = true, HoldFarewells = true };
        await pools[0].FillAsync(1);
        TcpLease lease = await pools[1].RentAsync();
        await pools[2].FillAsync(1);
        await pools.PassTurnAsync();

        // Its last words do not leave before DrainTimeout.
        pools[0].Pool.Clear();
        pools.Cap.Resize(2);
        Task<TcpLease> rent = pools[3].RentAsync();
        await pools.PassTurnAsync();
        Assert.Equal(1, pools[2].Now.Idle);

        PoolHarness.Return(await pools.WhileTurnsPassAsync(rent));
        Assert.Equal(1, pools[2].SharedCapCloses);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task The_rent_timeout_names_the_limit_and_its_numbers()
    {
        await using KeyedPools pools = new(max: 1, keys: 2, PoolHarness.Settings(waiters: 1));
        TcpLease lease = await pools[0].RentAsync();
        Task<TcpLease> rent = pools[1].RentAsync();
        PoolQueueFullException full = await Assert.ThrowsAsync<PoolQueueFullException>(() => pools[1].RentAsync());
        Assert.Contains("raise MaxTotalConnections", full.Message, StringComparison.Ordinal);

        pools.Time.Advance(TimeSpan.FromSeconds(5));
        RentTimeoutException timeout = await Assert.ThrowsAsync<RentTimeoutException>(() => rent);
        Assert.Contains("over all keys 1 of MaxTotalConnections 1, 0 keys waiting", timeout.Message, StringComparison.Ordinal);
        Assert.Contains("raise MaxTotalConnections", timeout.Message, StringComparison.Ordinal);
        Assert.False(pools.Cap.IsTight);

        // Where the pool's own limit is reached, that is the one to turn.
        pools.Cap.Resize(5);
        pools[0].Core.Apply(PoolHarness.Settings(max: 1, waiters: 1));
        rent = pools[0].RentAsync();
        pools.Time.Advance(TimeSpan.FromSeconds(5));
        timeout = await Assert.ThrowsAsync<RentTimeoutException>(() => rent);
        Assert.Contains("Raise MaxConnections", timeout.Message, StringComparison.Ordinal);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task A_limit_that_is_not_reached_costs_a_warm_rent_no_clock()
    {
        await using KeyedPools pools = new(max: 2, keys: 1);
        await pools[0].FillAsync(1);
        long readings = pools.Time.Readings;
        for (int i = 0; i < 100; i++)
        {
            Assert.True(pools[0].Pool.TryRent(out TcpLease lease));
            PoolHarness.Return(lease);
        }

        Assert.Equal(readings, pools.Time.Readings);
    }
}
