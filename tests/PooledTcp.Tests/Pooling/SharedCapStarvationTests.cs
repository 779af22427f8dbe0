using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>MaxTotalConnections when most places are held for long: the few that move still go round.</summary>
public sealed class SharedCapStarvationTests
{
    [Theory]
    [InlineData(8)]
    [InlineData(9)]
    public async Task Places_that_are_not_returned_are_no_reason_to_keep_the_others(int held)
    {
        await using KeyedPools pools = new(max: 10, keys: 3);
        List<TcpLease> leases = [];
        for (int i = 0; i < held; i++)
        {
            leases.Add(await pools[0].RentAsync());
        }

        Queue<TcpLease> busy = new();
        for (int i = held; i < 10; i++)
        {
            busy.Enqueue(await pools[1].RentAsync());
        }

        // Key 1 has less than a third, and key 2 has nothing.
        Task<TcpLease> own = pools[1].RentAsync();
        Task<TcpLease> rent = pools[2].RentAsync();
        await pools.PassTurnAsync();
        PoolHarness.Return(busy.Dequeue());
        TcpLease lease = await rent;
        Assert.Equal(1, pools[1].SharedCapCloses);
        Assert.False(own.IsCompleted);
        await pools.PassTurnAsync();
        if (held == 8)
        {
            // One each: they stay.
            PoolHarness.Return(busy.Dequeue());
            PoolHarness.Return(await own);
            PoolHarness.Return(lease);
            Assert.Equal((1, 0), (pools[1].SharedCapCloses, pools[2].SharedCapCloses));
        }
        else
        {
            // One for both: it goes round.
            PoolHarness.Return(lease);
            PoolHarness.Return(await own);
            Assert.Equal((1, 1), (pools[1].SharedCapCloses, pools[2].SharedCapCloses));
        }

        leases.ForEach(PoolHarness.Return);
    }

    /// <summary>The first of the queue has one place as good as the busy key's; what stands behind it has none.</summary>
    [Fact]
    public async Task A_key_without_places_is_served_behind_one_that_has_its_share()
    {
        await using KeyedPools pools = new(max: 10, keys: 4);
        List<TcpLease> held = [];
        for (int i = 0; i < 7; i++)
        {
            held.Add(await pools[0].RentAsync());
        }

        held.Add(await pools[2].RentAsync());
        Queue<TcpLease> busy = new([await pools[1].RentAsync(), await pools[1].RentAsync()]);
        Task<TcpLease> first = pools[2].RentAsync();
        Task<TcpLease> behind = pools[3].RentAsync();
        Task<TcpLease> own = pools[1].RentAsync();
        await pools.PassTurnAsync();

        // Each time the busy key returns one: the first brings the other to the front.
        PoolHarness.Return(busy.Dequeue());
        TcpLease second = await first;
        await pools.PassTurnAsync();
        PoolHarness.Return(busy.Dequeue());
        PoolHarness.Return(await behind);
        Assert.Equal(2, pools[1].SharedCapCloses);
        PoolHarness.Return(second);
        PoolHarness.Return(await pools.WhileTurnsPassAsync(own));
        held.ForEach(PoolHarness.Return);
    }
}
