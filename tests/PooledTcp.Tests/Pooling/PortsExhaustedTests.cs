using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Pooling;
using PooledTcp.Ports;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Dials that find no local port: nobody fails before the deadline, and nobody dials in a hot loop.</summary>
public sealed class PortsExhaustedTests
{
    private static readonly TimeSpan Hold = PortLedger.FailureHold + ConnectionPool.HoldMargin;

    [Fact]
    public async Task One_dial_a_second_finds_out_whether_it_is_over()
    {
        await using PoolHarness pool = Exhausted(max: 10, connecting: 4);
        pool.Core.Apply(PoolHarness.Settings(max: 10, connecting: 4, rent: TimeSpan.FromDays(1)));

        // One comes first: of several that dial together each arms the hold-off anew, the last one perhaps late.
        List<Task<TcpLease>> rents = [pool.RentAsync()];
        await SettleAsync(pool);
        rents.AddRange(Enumerable.Range(0, 5).Select(_ => pool.RentAsync()));
        const int first = 1;
        Assert.Equal(first, pool.Connector.Dials);

        for (int second = 1; second <= 4; second++)
        {
            pool.Time.Advance(Hold - TimeSpan.FromMilliseconds(1));
            await SettleAsync(pool);
            Assert.Equal(first + second - 1, pool.Connector.Dials);

            // The last dial's end may have armed the hold-off only after the clock had gone on. It stands still while one is on its way.
            await PoolHarness.UntilAsync(() =>
            {
                if (pool.Now.Connecting == 0 && pool.Connector.Dials < first + second)
                {
                    pool.Time.Advance(TimeSpan.FromMilliseconds(1));
                }

                return pool.Connector.Dials == first + second;
            });
            await SettleAsync(pool);
            Assert.Equal(first + second, pool.Connector.Dials);
            Assert.All(rents, static r => Assert.False(r.IsCompleted));
        }
    }

    [Fact]
    public async Task At_its_deadline_a_rent_ends_with_the_census()
    {
        await using PoolHarness pool = Exhausted(max: 10);
        Task<TcpLease> rent = pool.RentAsync();
        await SettleAsync(pool);
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        LocalPortsExhaustedException e = await Assert.ThrowsAsync<LocalPortsExhaustedException>(() => rent);
        Assert.Contains("58 of 64 usable taken", e.Message, StringComparison.Ordinal);
        Assert.Contains("Ports.SourceAddresses", e.Message, StringComparison.Ordinal);
        Assert.Contains("'fake'", e.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.AddressNotAvailable, Assert.IsType<SocketException>(e.InnerException).SocketErrorCode);
    }

    [Fact]
    public async Task A_returned_connection_serves_the_oldest_meanwhile()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 10));
        TcpLease lease = await pool.RentAsync();
        pool.Connector.Automatic = NoPort;
        Task<TcpLease> oldest = pool.RentAsync();
        await SettleAsync(pool);
        Task<TcpLease> next = pool.RentAsync();
        await SettleAsync(pool);
        Assert.Equal(2, pool.Connector.Dials);

        long id = lease.ConnectionId;
        PoolHarness.Return(lease);
        Assert.Equal(id, (await oldest).ConnectionId);
        Assert.False(next.IsCompleted);
    }

    [Fact]
    public async Task A_port_given_back_ends_the_hold_off_at_once()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 10));
        TcpLease lease = await pool.RentAsync();
        pool.Connector.Automatic = NoPort;
        Task<TcpLease> rent = pool.RentAsync();
        await SettleAsync(pool);
        Assert.Equal(2, pool.Connector.Dials);

        // Aborted: its port is free. No time passes.
        pool.Connector.Automatic = static _ => new FakeTransport();
        lease.Dispose();
        await rent;
        Assert.Equal(3, pool.Connector.Dials);
    }

    [Fact]
    public async Task A_close_that_leaves_a_TIME_WAIT_does_not()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 10, maxUses: 2));
        TcpLease used = await pool.RentAsync();
        TcpLease idle = await pool.RentAsync();
        PoolHarness.Return(idle);
        pool.Connector.Transports.Last().PeerHoldsOn = true;
        pool.Pool.Clear();
        FakeTransport closing = pool.Connector.Transports.Last();
        Assert.Equal("limit drain fin wait", closing.Moves);
        pool.Connector.Automatic = NoPort;
        closing.LeftTimeWait = true;
        Task<TcpLease> rent = pool.RentAsync();
        await SettleAsync(pool);

        // Escalated for the waiter's sake, it owes its port all the same.
        await PoolHarness.UntilAsync(() => closing.IsClosed);
        await pool.UntilAsync(static now => now.Closing == 0);
        await SettleAsync(pool);
        Assert.Equal(3, pool.Connector.Dials);
        Assert.False(rent.IsCompleted);
        used.Dispose();
    }

    [Fact]
    public async Task A_waiter_that_lacks_a_port_escalates_one_closing_connection()
    {
        PoolSettings settings = PoolHarness.Settings(max: 10, maxUses: 1);
        await using PoolHarness pool = PoolHarness.Automatic(settings with { Shutdown = settings.Shutdown with { ClosesFirst = ClosesFirst.Server } });
        pool.Connector.Automatic = static _ => new FakeTransport { PeerHoldsOn = true };
        TcpLease[] leases = [await pool.RentAsync(), await pool.RentAsync(), await pool.RentAsync()];
        Array.ForEach(leases, PoolHarness.Return);
        Assert.Equal(3, pool.Now.Closing);

        bool isFirst = true;
        pool.Connector.Automatic = s => isFirst ? FailOnce(s) : new FakeTransport();
        await pool.RentAsync();
        Assert.Equal(2, pool.Now.Closing);
        Assert.Equal(1, pool.Now.ClosedByMethod["quiet"]);

        FakeTransport FailOnce(PoolSettings s)
        {
            isFirst = false;
            return NoPort(s);
        }
    }

    [Fact]
    public async Task Over_and_unasked_for_it_is_not_blamed_for_a_later_timeout()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        pool.Connector.Automatic = NoPort;
        using CancellationTokenSource leaves = new();
        Task<TcpLease> left = pool.RentAsync(leaves.Token);
        await SettleAsync(pool);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        pool.Time.Advance(Hold);

        Task<TcpLease> paused = PausedRent(pool);
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        await Assert.ThrowsAsync<RentTimeoutException>(() => paused);

        static Task<TcpLease> PausedRent(PoolHarness pool)
        {
            pool.Pool.Pause();
            return pool.RentAsync();
        }
    }

    [Fact]
    public async Task Another_kind_of_failure_ends_it()
    {
        await using PoolHarness pool = Exhausted(max: 10);
        Task<TcpLease> rent = pool.RentAsync();
        await SettleAsync(pool);
        pool.Connector.Automatic = static _ => throw new SocketException((int)SocketError.ConnectionRefused);
        pool.Time.Advance(Hold);
        EndpointUnavailableException e = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.IsType<SocketException>(e.InnerException);
        pool.Pool.Pause();
        Task<TcpLease> next = pool.RentAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        await Assert.ThrowsAsync<RentTimeoutException>(() => next);
    }

    [Fact]
    public async Task A_pool_that_ends_meanwhile_leaves_no_timer()
    {
        PoolHarness pool = Exhausted(max: 10);
        Task<TcpLease> rent = pool.RentAsync();
        await SettleAsync(pool);
        await pool.DisposeAsync();
        await Assert.ThrowsAsync<PoolClosedException>(() => rent);

        // The dial that found no port may still be at its end.
        await PoolHarness.UntilAsync(() => pool.Time.ArmedTimers == 0, () => $"{pool.Time.ArmedTimers} timers");
    }

    private static FakeTransport NoPort(PoolSettings settings) => throw new NoLocalPortException(
        "local ports 40000-40063 to 10.0.0.1:7000: 58 of 64 usable taken", new SocketException((int)SocketError.AddressNotAvailable));

    private static PoolHarness Exhausted(int max, int connecting = 4)
    {
        PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: max, connecting: connecting));
        pool.Connector.Automatic = NoPort;
        return pool;
    }

    /// <summary>No dial runs, and its end has been taken in: the hold-off's timer is armed.</summary>
    private static Task SettleAsync(PoolHarness pool) => PoolHarness.UntilAsync(
        () => pool.Now.Connecting == 0 && pool.Connector.Running == 0 && pool.Now.DialsFailed + pool.Now.Created == pool.Connector.Dials
            && pool.Time.ArmedTimers == (pool.Now.Waiting > 0 ? 2 : 1),
        () => $"{pool.Now} timers {pool.Time.ArmedTimers}");
}
