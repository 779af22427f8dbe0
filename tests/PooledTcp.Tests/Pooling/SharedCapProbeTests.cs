using PooledTcp.Pooling;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Probes under MaxTotalConnections: no rent at any key waits for one.</summary>
public sealed class SharedCapProbeTests
{
    private static readonly TimeSpan UntilDue = TimeSpan.FromSeconds(35);

    private static KeyedPools Pools(int max, FakeProbe probe, TimeSpan? interval = null) => new(
        max,
        keys: 2,
        KeyedPools.LongSettings() with
        {
            IdleTimeout = TimeSpan.FromHours(1),
            Health = TestSettings.Health with { ProbeInterval = interval ?? TestSettings.Health.ProbeInterval, ProbeTimeout = Timeout.InfiniteTimeSpan },
        },
        firstHooks: probe.Hooks);

    private static void Sweep(KeyedPools pools)
    {
        pools.Time.Advance(UntilDue);
        pools[0].Core.Maintain(pools.Services.Clock.Read(), out _);
    }

    [Fact]
    public async Task The_only_connection_that_the_limit_allows_is_not_asked()
    {
        FakeProbe probe = new() { AnswersAtOnce = true };
        await using KeyedPools pools = Pools(max: 1, probe);
        await pools[0].FillAsync(1);
        Sweep(pools);
        await pools.UntilAsync(() => !pools[0].Core.IsProbing);
        Assert.Equal(0, probe.Count);
        Assert.True(pools[0].Pool.TryRent(out TcpLease lease));
        PoolHarness.Return(lease);

        // With one place more a rent could dial.
        pools.Cap.Resize(2);
        Sweep(pools);
        await pools.UntilAsync(() => probe.Count == 1 && !pools[0].Core.IsProbing);
    }

    [Fact]
    public async Task While_a_key_queues_nobody_is_asked()
    {
        FakeProbe probe = new() { AnswersAtOnce = true };
        await using KeyedPools pools = Pools(max: 2, probe, interval: SharedCap.Turn / 2);
        TcpLease[] leases = [await pools[0].RentAsync(), await pools[0].RentAsync()];
        Task<TcpLease> other = pools[1].RentAsync();
        Array.ForEach(leases, PoolHarness.Return);

        // Both are due, and neither had its turn yet.
        pools.Time.Advance(SharedCap.Turn / 2);
        pools[0].Core.Maintain(pools.Services.Clock.Read(), out _);
        await pools.UntilAsync(() => !pools[0].Core.IsProbing);
        Assert.Equal((0, 2), (probe.Count, pools[0].Now.Idle));
        PoolHarness.Return(await pools.WhileTurnsPassAsync(other));
    }

    [Fact]
    public async Task A_connection_that_comes_back_from_its_probe_gives_way_to_who_began_to_queue_meanwhile()
    {
        FakeProbe probe = new();
        await using KeyedPools pools = Pools(max: 2, probe);
        await pools[0].FillAsync(1);
        Sweep(pools);
        (_, TaskCompletionSource answer) = await probe.NextAsync();
        TcpLease held = await pools[1].RentAsync();
        Task<TcpLease> rent = pools[1].RentAsync();
        await pools.UntilAsync(() => !pools.Cap.IsLooking);
        answer.SetResult();
        await pools.UntilAsync(() => !pools[0].Core.IsProbing);
        PoolHarness.Return(await pools.WhileTurnsPassAsync(rent));
        Assert.Equal(1, pools[0].SharedCapCloses);
        PoolHarness.Return(held);
    }

    [Fact]
    public async Task A_limit_that_was_lowered_during_a_probe_is_reached_after_it()
    {
        FakeProbe probe = new();
        await using KeyedPools pools = Pools(max: 3, probe);
        await pools[0].FillAsync(1);
        Sweep(pools);
        (_, TaskCompletionSource answer) = await probe.NextAsync();
        TcpLease held = await pools[1].RentAsync();
        pools.Cap.Resize(1);
        await pools.UntilAsync(() => !pools.Cap.IsLooking);
        Assert.Equal(2, pools.Cap.Places.Used);
        answer.SetResult();
        await pools.WhileTurnsPassAsync(() => pools.Cap.Places.Used == 1);
        Assert.Equal(1, pools[0].SharedCapCloses);
        PoolHarness.Return(held);
    }
}
