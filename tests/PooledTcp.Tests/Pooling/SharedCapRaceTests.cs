using PooledTcp.Pooling;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>A place on its way to a pool that has changed its mind, and connections that come back while somebody begins to queue.</summary>
public sealed class SharedCapRaceTests
{
    private const int Rounds = 200;

    [Fact]
    public async Task A_cancelled_waiter_takes_its_key_out_of_the_queue()
    {
        await using KeyedPools pools = new(max: 1, keys: 2);
        TcpLease lease = await pools[0].RentAsync();
        using CancellationTokenSource leaves = new();
        Task<TcpLease> rent = pools[1].RentAsync(leaves.Token);
        await pools.PassTurnAsync();
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => rent);
        Assert.Equal((1, 1, 0), pools.Cap.Places);

        PoolHarness.Return(lease);
        Assert.Equal(1, pools[0].Now.Idle);
    }

    [Fact]
    public async Task A_grant_whose_waiter_is_gone_goes_to_the_next()
    {
        for (int round = 0; round < Rounds; round++)
        {
            await using KeyedPools pools = new(max: 1, keys: 3);
            TcpLease lease = await pools[0].RentAsync();
            using CancellationTokenSource leaves = new();
            Task<TcpLease> gone = pools[1].RentAsync(leaves.Token);
            Task<TcpLease> next = pools[2].RentAsync();
            lease.Dispose();

            // The grant is on its way through the thread pool: now, or a little later, or its dial runs already.
            Thread.SpinWait(round * 10);
            await leaves.CancelAsync();
            await EndAsync(gone);
            PoolHarness.Return(await pools.WhileTurnsPassAsync(next));
            Assert.Equal(1, pools.Sockets.Peak);
        }
    }

    [Fact]
    public async Task A_grant_that_a_returned_connection_overtook_goes_to_the_next()
    {
        for (int round = 0; round < Rounds; round++)
        {
            await using KeyedPools pools = new(max: 2, keys: 3);
            TcpLease freed = await pools[0].RentAsync();
            TcpLease returned = await pools[1].RentAsync();
            Task<TcpLease> overtaken = pools[1].RentAsync();
            Task<TcpLease> next = pools[2].RentAsync();
            freed.Dispose();
            Thread.SpinWait(round * 10);
            PoolHarness.Return(returned);
            await overtaken;
            PoolHarness.Return(await pools.WhileTurnsPassAsync(next));
            Assert.Equal(2, pools.Sockets.Peak);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_pool_that_closes_or_pauses_leaves_the_queue(bool closes)
    {
        for (int round = 0; round < Rounds; round++)
        {
            await using KeyedPools pools = new(max: 1, keys: 3);
            TcpLease lease = await pools[0].RentAsync();
            Task<TcpLease> rent = pools[1].RentAsync();
            Task<TcpLease> next = pools[2].RentAsync();
            if (round % 2 == 0)
            {
                // The grant is on its way.
                lease.Dispose();
                Thread.SpinWait(round * 10);
            }

            if (closes)
            {
                pools[1].Core.Close();
            }
            else
            {
                pools[1].Pool.Pause();
            }

            lease.Dispose();
            bool wasFaster = pools[1].Now.Waiting == 0;
            if (closes || wasFaster)
            {
                await EndAsync(rent);
            }

            PoolHarness.Return(await pools.WhileTurnsPassAsync(next));
            Assert.Equal(1, pools.Sockets.Peak);
            if (!closes && !wasFaster)
            {
                pools[1].Pool.Resume();
                PoolHarness.Return(await pools.WhileTurnsPassAsync(rent));
            }
        }
    }

    [Fact]
    public async Task A_cleared_key_is_served_in_its_turn()
    {
        await using KeyedPools pools = new(max: 1, keys: 2);
        TcpLease lease = await pools[0].RentAsync();
        Task<TcpLease> rent = pools[1].RentAsync();
        pools[1].Pool.Clear();
        pools[0].Pool.Clear();
        Assert.False(rent.IsCompleted);
        PoolHarness.Return(lease);
        PoolHarness.Return(await rent);
        Assert.Equal(1, pools.Sockets.Peak);
    }

    [Fact]
    public async Task An_ad_hoc_pool_that_goes_away_leaves_nothing_behind()
    {
        await using KeyedPools pools = new(max: 1, keys: 2, isAdHoc: true);
        TcpLease lease = await pools[0].RentAsync();
        using CancellationTokenSource leaves = new();
        Task warm = pools[1].Pool.WarmUpAsync(1, leaves.Token);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => warm);
        pools[1].Core.Maintain(pools.Services.Clock.Read(), out bool retired);
        pools.Time.Advance(TimeSpan.FromMinutes(1));
        pools[1].Core.Maintain(pools.Services.Clock.Read(), out retired);
        Assert.True(retired);
        lease.Dispose();
        await pools.UntilAsync(() => pools.Cap.Places.Used == 0);
        Assert.Equal(1, pools[0].Connector.Dials);
        Assert.Equal(0, pools[1].Connector.Dials);
    }

    [Fact]
    public async Task A_grant_that_comes_while_its_pool_plans_for_another_waiter_stays_with_it()
    {
        await using KeyedPools pools = new(max: 2, keys: 3);
        CapShare[] shares = [.. pools.Keys.Select(static key => new CapShare(key.Core))];
        Assert.True(pools.Cap.TryTake(shares[1], waits: true));
        Assert.True(pools.Cap.TryTake(shares[1], waits: true));
        Assert.False(pools.Cap.TryTake(shares[0], waits: true));
        pools.Cap.GiveBack(shares[1]);
        Assert.Equal(1, shares[0].Granted);

        // What UseGrants does, with a second waiter, and two other pools in between.
        pools.Cap.HearGrants(shares[0]);
        Assert.True(pools.Cap.TryTake(shares[0], waits: true));
        Assert.False(pools.Cap.TryTake(shares[0], waits: true));
        Assert.False(pools.Cap.TryTake(shares[2], waits: true));
        pools.Cap.GiveBack(shares[1]);
        pools.Cap.GiveBackGrants(shares[0]);
        Assert.Equal((1, 0), (shares[0].Granted, shares[2].Granted));

        // Told of it, it finds its second waiter gone.
        pools.Cap.HearGrants(shares[0]);
        pools.Cap.GiveBackGrants(shares[0]);
        Assert.Equal((0, 1), (shares[0].Granted, shares[2].Granted));
    }

    [Fact]
    public async Task A_connection_that_is_published_while_somebody_begins_to_queue_is_seen()
    {
        for (int round = 0; round < Rounds; round++)
        {
            await using KeyedPools pools = new(max: 1, keys: 2);
            TcpLease lease = await pools[0].RentAsync();
            using Barrier start = new(2);
            Task returning = Task.Run(() =>
            {
                start.SignalAndWait();
                PoolHarness.Return(lease);
            });
            start.SignalAndWait();
            Thread.SpinWait(round % 50 * 10);
            Task<TcpLease> rent = pools[1].RentAsync();
            await returning;
            PoolHarness.Return(await pools.WhileTurnsPassAsync(rent));
            Assert.Equal(1, pools.Sockets.Peak);
        }
    }

    [Fact]
    public async Task Between_the_look_at_the_queue_and_the_publication()
    {
        await using KeyedPools pools = new(max: 1, keys: 2);
        FakeTransport? transport = null;
        Task<TcpLease>? rent = null;
        pools[0].Connector.Automatic = _ => transport = new FakeTransport { MustPark = true };
        TcpLease lease = await pools[0].RentAsync();
        transport!.OnPark = () =>
        {
            // The return found nobody queueing. Somebody does now, and finds nothing idle.
            rent = pools[1].RentAsync();
            PoolHarness.UntilAsync(() => !pools.Cap.IsLooking).Wait(PoolHarness.Hang);
        };
        PoolHarness.Return(lease);
        Assert.Equal(1, pools[0].Now.Idle);
        PoolHarness.Return(await pools.WhileTurnsPassAsync(rent!));
    }

    /// <summary>Who was to leave the queue may have been served before.</summary>
    private static async Task EndAsync(Task<TcpLease> rent)
    {
        try
        {
            PoolHarness.Return(await rent);
        }
        catch (Exception e) when (e is OperationCanceledException or PoolClosedException)
        {
            // It left in time.
        }
    }
}
