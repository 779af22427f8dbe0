using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Clear ends a generation, and nothing of it is lent again.</summary>
public sealed class ClearTests
{
    [Fact]
    public async Task Clear_bumps_the_generation_and_closes_idle_ones_now()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(3);
        pool.Pool.Clear();

        Assert.Equal(1, pool.Now.Generation);
        Assert.Equal(0, pool.Connector.Live);
        Assert.Equal(3, pool.Now.ClosedByReason["cleared"]);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task Clear_closes_leased_ones_at_return()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        pool.Pool.Clear();
        Assert.False(transport.IsClosed);
        transport.Feed("reply");
        Assert.Equal(5, await lease.ReceiveAsync(new byte[16]));

        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
        Assert.Equal(1, pool.Now.ClosedByReason["cleared"]);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task Clear_with_interruption_closes_leased_ones_now()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        Task<int> receive = lease.ReceiveAsync(new byte[16]).AsTask();
        pool.Pool.Clear(interruptLeases: true);

        Assert.True(transport.IsClosed);
        ConnectionFaultedException e = await Assert.ThrowsAsync<ConnectionFaultedException>(() => receive);
        Assert.Contains("the pool closed it under the lease (Cleared)", e.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => lease.SendAsync(new byte[1]).AsTask());

        lease.Complete();
        lease.Dispose();
        Assert.Equal(1, pool.Now.ClosedByReason["cleared"]);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task Clear_with_interruption_of_a_lease_that_does_nothing_just_then()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, _) = await pool.DialAsync();
        pool.Pool.Clear(interruptLeases: true);
        lease.Dispose();
        Assert.Equal(1, pool.Now.ClosedByReason["cleared"]);
    }

    [Fact]
    public async Task Clear_restarts_dials_in_flight_and_serves_the_waiters_from_the_new_ones()
    {
        // vitess 20187: clear stranded queued waiters.
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 2));
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 3).Select(_ => pool.RentAsync())];
        FakeDial[] outdated = await pool.Connector.NextAsync(2);
        pool.Pool.Clear();
        await PoolHarness.UntilAsync(() => outdated.All(static d => d.CancellationToken.IsCancellationRequested));

        foreach (FakeDial dial in await pool.Connector.NextAsync(2))
        {
            dial.Open();
        }

        (await pool.Connector.NextAsync()).Open();
        await Task.WhenAll(rents);
        Assert.Equal(0, pool.Now.DialsFailed);
        Assert.Null(pool.Now.LastConnectError);
        pool.AssertCounts(used: 3, connecting: 0, waiting: 0);
    }

    [Fact]
    public async Task A_dial_that_succeeds_in_spite_of_Clear_is_closed_and_its_waiter_gets_another()
    {
        await using PoolHarness pool = PoolHarness.ClearedInTheFirstHandshake();

        TcpLease lease = await pool.RentAsync();
        FakeTransport[] opened = [.. pool.Connector.Transports];
        await opened[0].Closed.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.False(opened[1].IsClosed);

        // Its end is a close if the dial was over first, a dial given up if the cancellation was; never a failed dial.
        Assert.Equal(pool.Now.Created - 1, pool.Now.ClosedByReason.GetValueOrDefault("cleared"));
        Assert.Equal(0, pool.Now.DialsFailed);
        PoolHarness.Return(lease);
        await pool.UntilAsync(static now => now.Closing == 0);
        pool.AssertCounts(idle: 1, used: 0);
    }

    [Fact]
    public async Task Waiters_are_re_served_when_leased_ones_close_at_return()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        long id = lease.ConnectionId;
        Task<TcpLease> waiting = pool.RentAsync();
        pool.Pool.Clear();
        PoolHarness.Return(lease);
        Assert.NotEqual(id, (await waiting).ConnectionId);
    }

    [Fact]
    public async Task A_connection_on_its_way_back_while_Clear_runs_is_not_left_idle()
    {
        // Clear goes round the idle ones once. This one is in the hands of a hand-off just then, whose waiter leaves.
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        using CancellationTokenSource cancel = new();
        Task<TcpLease> waiting = pool.RentAsync(cancel.Token);
        transport.OnCheckIdle = () =>
        {
            cancel.Cancel();
            pool.Pool.Clear();
        };
        PoolHarness.Return(lease);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.True(transport.IsClosed);
        pool.AssertCounts(idle: 0, used: 0, waiting: 0);
    }

    [Fact]
    public async Task A_connection_that_loses_its_waiter_at_the_hand_off_goes_idle()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        using CancellationTokenSource cancel = new();
        Task<TcpLease> waiting = pool.RentAsync(cancel.Token);
        transport.OnCheckIdle = cancel.Cancel;
        PoolHarness.Return(lease);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        pool.AssertCounts(idle: 1, used: 0, waiting: 0);
        Assert.True(pool.Pool.TryRent(out _));
    }

    [Fact]
    public async Task An_outdated_connection_that_a_rent_holds_is_not_lent()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);

        // The rent has taken the connection and passed the generation's check; the interruption reaches it all the same.
        transport.OnCheckIdle = () => pool.Pool.Clear(interruptLeases: true);
        TcpLease caught = await pool.RentAsync();
        Assert.True(transport.IsClosed);
        caught.Complete();
        caught.Dispose();
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task Clear_counts_a_connection_once_however_often_it_is_cleared()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(2);
        TcpLease held = await pool.RentAsync();
        pool.Pool.Clear();
        pool.Pool.Clear(interruptLeases: true);
        pool.Pool.Clear(interruptLeases: true);
        held.Dispose();
        Assert.Equal(2, pool.Now.Closed);
        Assert.Equal(3, pool.Now.Generation);
        pool.AssertCounts(idle: 0, used: 0);
    }
}
