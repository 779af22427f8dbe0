using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>The end of a pool: drained, or closed.</summary>
public sealed class DrainTests
{
    [Fact]
    public async Task Drain_refuses_new_rents_and_closes_what_is_idle()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(2);
        Task drained = pool.Core.DrainAsync();

        Assert.True(drained.IsCompletedSuccessfully);
        Assert.Equal(TcpPoolState.Draining, pool.Now.State);
        Assert.Equal(2, pool.Now.ClosedByReason["pool_shutdown"]);
        Assert.False(pool.Pool.TryRent(out _));
        Assert.Contains("draining", (await Assert.ThrowsAsync<PoolClosedException>(() => pool.RentAsync())).Message, StringComparison.Ordinal);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task Drain_serves_who_waits_already_and_waits_for_the_leases()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> first = pool.RentAsync();
        Task<TcpLease> second = pool.RentAsync();
        Task drained = pool.Core.DrainAsync();

        PoolHarness.Return(lease);
        lease = await first;
        Assert.False(drained.IsCompleted);

        // Its connection is lost, so the last one gets a new dial, in spite of the drain.
        lease.Dispose();
        lease = await second;
        Assert.False(drained.IsCompleted);
        PoolHarness.Return(lease);
        await drained.WaitAsync(PoolHarness.Hang);
        pool.AssertCounts(idle: 0, used: 0, waiting: 0);
    }

    [Fact]
    public async Task Drain_ends_a_pause()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        pool.Pool.Pause();
        Task<TcpLease> waiting = pool.RentAsync();
        Task drained = pool.Core.DrainAsync();
        PoolHarness.Return(await waiting);
        await drained.WaitAsync(PoolHarness.Hang);
        pool.Pool.Pause();
        Assert.Equal(TcpPoolState.Draining, pool.Now.State);
    }

    [Fact]
    public async Task Drain_gives_up_dials_that_nobody_waits_for()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(minIdle: 2));
        pool.Maintain();
        FakeDial[] dials = await pool.Connector.NextAsync(2);
        Task drained = pool.Core.DrainAsync();
        await PoolHarness.UntilAsync(() => dials.All(static d => d.CancellationToken.IsCancellationRequested));
        await drained.WaitAsync(PoolHarness.Hang);
        pool.Maintain();
        pool.AssertCounts(connecting: 0);
        Assert.Equal(0, pool.Now.DialsFailed);
    }

    [Fact]
    public async Task Drain_gives_up_warm_ups()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 4, connecting: 1));
        pool.Connector.Automatic = null;
        Task warm = pool.Pool.WarmUpAsync(3);
        await pool.Connector.NextAsync();
        pool.Connector.Automatic = static _ => new FakeTransport();

        await pool.Core.DrainAsync().WaitAsync(PoolHarness.Hang);
        await Assert.ThrowsAsync<PoolClosedException>(() => warm.WaitAsync(PoolHarness.Hang));
        Assert.Equal(1, pool.Connector.Dials);
        pool.AssertCounts(idle: 0, connecting: 0);
    }

    [Fact]
    public async Task A_dial_that_succeeds_in_a_draining_pool_for_nobody_is_closed()
    {
        await using PoolHarness pool = new();
        using CancellationTokenSource cancel = new();
        Task<TcpLease> rent = pool.RentAsync(cancel.Token);
        FakeDial dial = await pool.Connector.NextAsync();
        Task drained = pool.Core.DrainAsync();
        Assert.False(dial.CancellationToken.IsCancellationRequested);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => rent);
        dial.Open();
        await drained.WaitAsync(PoolHarness.Hang);
        pool.AssertCounts(idle: 0, connecting: 0);
    }

    [Fact]
    public async Task A_dial_that_fails_in_a_draining_pool_fails_its_waiter_and_ends_the_drain()
    {
        await using PoolHarness pool = new();
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        Task drained = pool.Core.DrainAsync();
        dial.Fail();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        await drained.WaitAsync(PoolHarness.Hang);
    }

    [Fact]
    public async Task Close_fails_waiters_gives_up_dials_and_interrupts_leases()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 3));
        (TcpLease lease, FakeTransport leased) = await pool.DialAsync();
        (TcpLease other, FakeTransport idle) = await pool.DialAsync();
        PoolHarness.Return(other);
        pool.Pool.Pause();
        Task<TcpLease> waiting = pool.RentAsync();
        pool.Pool.Resume();
        TcpLease held = await waiting;
        Task<TcpLease> dialing = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        Task<TcpLease> queued = pool.RentAsync();
        PoolHarness.Return(held);
        await dialing;
        Task<TcpLease> last = pool.RentAsync();

        pool.Core.Close();

        await Assert.ThrowsAsync<PoolClosedException>(() => queued);
        Assert.Contains("closed", (await Assert.ThrowsAsync<PoolClosedException>(() => last)).Message, StringComparison.Ordinal);
        await PoolHarness.UntilAsync(() => dial.CancellationToken.IsCancellationRequested);
        Assert.True(leased.IsClosed && idle.IsClosed);
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => lease.ReceiveAsync(new byte[1]).AsTask());
        await Assert.ThrowsAsync<PoolClosedException>(() => pool.RentAsync());
        lease.Dispose();
        (await dialing).Dispose();
        await pool.UntilAsync(static now => now.Connecting == 0);
        pool.AssertCounts(idle: 0, used: 0, waiting: 0);
        Assert.Equal(TcpPoolState.Closed, pool.Now.State);
        Assert.Equal(2, pool.Now.ClosedByReason["pool_shutdown"]);
        pool.Core.Close();
    }

    [Fact]
    public async Task A_drain_under_way_ends_with_the_close()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        TcpLease lease = await pool.RentAsync();
        Task drained = pool.Core.DrainAsync();
        pool.Core.Close();
        Assert.False(drained.IsCompleted);
        lease.Dispose();
        Assert.True(drained.IsCompletedSuccessfully);
        Assert.Same(drained, pool.Core.DrainAsync());
    }

    [Fact]
    public async Task A_connection_on_its_way_back_while_the_pool_closes_is_closed()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        transport.OnCheckIdle = pool.Core.Close;
        PoolHarness.Return(lease);
        await Assert.ThrowsAsync<PoolClosedException>(() => waiting);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task Nothing_slow_runs_under_the_lock()
    {
        // While a socket takes its time to close, the pool lends, returns, dials and tells its numbers.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 3));
        TcpLease slow = await pool.RentAsync();
        FakeTransport transport = pool.Connector.Transports.Single();
        using ManualResetEventSlim release = new();
        TaskCompletionSource closing = new(TaskCreationOptions.RunContinuationsAsynchronously);
        transport.OnClose = () =>
        {
            closing.TrySetResult();
            release.Wait(PoolHarness.Hang);
        };
        Task dispose = Task.Run(slow.Dispose);
        await closing.Task.WaitAsync(PoolHarness.Hang);

        // curl 15857: a closing socket counts against the limit.
        Assert.Equal(1, pool.Now.Closing);
        TcpLease first = await pool.RentAsync();
        TcpLease second = await pool.RentAsync();
        Task<TcpLease> third = pool.RentAsync();
        pool.AssertCounts(used: 2, connecting: 0, waiting: 1);
        Assert.Equal(3, pool.Now.Used + pool.Now.Closing);

        release.Set();
        await dispose.WaitAsync(PoolHarness.Hang);
        TcpLease served = await third;
        foreach (TcpLease lease in (TcpLease[])[first, second, served])
        {
            PoolHarness.Return(lease);
        }

        Assert.Equal(0, pool.Now.Closing);
        pool.AssertCounts(idle: 3);
    }
}
