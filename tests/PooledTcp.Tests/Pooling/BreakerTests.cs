using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Ports;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>What callers and the pool's own dials meet while a server is away.</summary>
public sealed class BreakerTests
{
    private const int FailuresToOpen = 3;

    private static readonly TimeSpan Long = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Open_a_rent_fails_at_once_with_the_last_error_and_its_age()
    {
        await using PoolHarness pool = await OpenAsync();
        pool.Time.Advance(TimeSpan.FromMilliseconds(60));

        Task<TcpLease> rent = pool.RentAsync();
        Assert.True(rent.IsFaulted);
        EndpointUnavailableException error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);

        Assert.StartsWith(
            "Pool 'fake' does not dial 10.0.0.1:7000 now: its breaker is open after 3 failed dials in a row, and the next one comes in 0.0 s "
            + "(Health.FailuresToOpen 3, Health.MaxBackoff 5 s). The last error, 0.1 s ago: refused (idle 0, used 0,",
            error.Message,
            StringComparison.Ordinal);
        Assert.Equal("refused", Assert.IsType<IOException>(error.InnerException).Message);
        Assert.Equal(FailuresToOpen, pool.Connector.Dials);
        Assert.Equal(BreakerState.Open, pool.Now.BreakerState);
        Assert.Equal(TimeSpan.FromMilliseconds(60), pool.Now.LastConnectErrorAge);
        TcpAddressSnapshot address = Assert.Single(pool.Now.Addresses);
        Assert.Equal((BreakerState.Open, 3, 0, "10.0.0.1:7000"), (address.BreakerState, address.ConsecutiveFailures, address.Connections, address.EndPoint.ToString()));
    }

    [Fact]
    public async Task The_pause_over_one_rent_probes_and_the_others_fail_at_once()
    {
        await using PoolHarness pool = await OpenAsync();
        pool.Time.Advance(Long);
        Assert.Equal(BreakerState.HalfOpen, pool.Now.BreakerState);
        Task<TcpLease> probe = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();

        EndpointUnavailableException error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.RentAsync());
        Assert.Contains("and one is finding out just now whether it is back", error.Message, StringComparison.Ordinal);
        dial.Open();
        await probe;

        Assert.Equal(BreakerState.Closed, pool.Now.BreakerState);
        await pool.DialAsync();
        pool.AssertCounts(used: 2);
    }

    [Fact]
    public async Task A_failed_probe_fails_its_rent_with_its_own_error_and_opens_for_longer()
    {
        await using PoolHarness pool = await OpenAsync();
        pool.Time.Advance(Long);
        Task<TcpLease> probe = pool.RentAsync();
        (await pool.Connector.NextAsync()).Fail(new IOException("still refused"));

        EndpointUnavailableException error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => probe);
        Assert.StartsWith("Pool 'fake' could not open a connection to 10.0.0.1:7000: still refused", error.Message, StringComparison.Ordinal);
        pool.Time.Advance(TimeSpan.FromMilliseconds(199));
        Assert.Equal(BreakerState.Open, pool.Now.BreakerState);
        pool.Time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(BreakerState.HalfOpen, pool.Now.BreakerState);
    }

    [Fact]
    public async Task Idle_connections_are_lent_while_it_is_open()
    {
        await using PoolHarness pool = new(Settings());
        (TcpLease lease, _) = await pool.DialAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(1));
        await FailAsync(pool);
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.RentAsync());

        PoolHarness.Return(lease);
        TcpLease again = await pool.RentAsync();
        Assert.True(again.IsReused);
        Assert.Equal(BreakerState.Open, pool.Now.BreakerState);
    }

    /// <summary>A server at its limit of connections refuses new ones and serves the others.</summary>
    [Fact]
    public async Task While_connections_still_come_back_a_rent_waits_for_one()
    {
        await using PoolHarness pool = new(Settings());
        (TcpLease lease, _) = await pool.DialAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(1));
        await FailAsync(pool);
        PoolHarness.Return(lease);
        TcpLease used = await pool.RentAsync();

        Task<TcpLease> rent = pool.RentAsync();
        pool.AssertCounts(used: 1, connecting: 0, waiting: 1);
        PoolHarness.Return(used);
        Assert.True((await rent).IsReused);
    }

    [Fact]
    public async Task At_the_limit_a_rent_waits_as_ever()
    {
        await using PoolHarness pool = new(Settings());
        (TcpLease lease, _) = await pool.DialAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(1));
        await FailAsync(pool);
        pool.Core.Apply(Settings() with { MaxConnections = 1 });

        Task<TcpLease> rent = pool.RentAsync();
        pool.AssertCounts(used: 1, connecting: 0, waiting: 1);
        PoolHarness.Return(lease);
        await rent;
    }

    /// <summary>Each waiter used to wait out a dial of its own, one after the other (runtime 114957).</summary>
    [Fact]
    public async Task Those_who_wait_for_a_permit_fail_when_it_opens()
    {
        await using PoolHarness pool = new(Settings() with { MaxConnecting = 1, MaxConnections = 100 });
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 50).Select(_ => pool.RentAsync())];
        for (int i = 0; i < FailuresToOpen; i++)
        {
            (await pool.Connector.NextAsync()).Fail(new IOException("refused"));
        }

        foreach (Task<TcpLease> rent in rents)
        {
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        }

        Assert.Equal(FailuresToOpen, pool.Connector.Dials);
        pool.AssertCounts(idle: 0, used: 0, connecting: 0, waiting: 0);
    }

    [Fact]
    public async Task Those_who_can_hope_for_a_return_keep_their_place()
    {
        await using PoolHarness pool = new(Settings() with { MaxConnecting = 1, MaxConnections = 100 });
        (TcpLease lease, _) = await pool.DialAsync();
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 5).Select(_ => pool.RentAsync())];
        for (int i = 0; i < FailuresToOpen; i++)
        {
            (await pool.Connector.NextAsync()).Fail(new IOException("refused"));
        }

        await pool.UntilAsync(static now => now is { Waiting: 2, Connecting: 0 });
        foreach (Task<TcpLease> refused in rents.Take(FailuresToOpen))
        {
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => refused);
        }

        PoolHarness.Return(lease);
        PoolHarness.Return(await rents[3]);
        await rents[4];
    }

    [Fact]
    public async Task Those_who_kept_their_place_get_the_probe()
    {
        await using PoolHarness pool = new(Settings() with { MaxConnecting = 1, MaxConnections = 100, RentTimeout = Timeout.InfiniteTimeSpan });
        await pool.DialAsync();
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 5).Select(_ => pool.RentAsync())];
        for (int i = 0; i < FailuresToOpen; i++)
        {
            (await pool.Connector.NextAsync()).Fail(new IOException("refused"));
        }

        await pool.UntilAsync(static now => now is { Waiting: 2, Connecting: 0 });
        (await pool.NextDialAsync(TimeSpan.FromMilliseconds(10))).Open();
        await rents[3];
        (await pool.Connector.NextAsync()).Open();
        await rents[4];
    }

    [Fact]
    public async Task A_cancelled_caller_counts_for_nothing_and_its_probe_serves_the_next()
    {
        await using PoolHarness pool = new(Settings());
        for (int i = 0; i < 10; i++)
        {
            using CancellationTokenSource cancel = new();
            Task<TcpLease> rent = pool.RentAsync(cancel.Token);
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => rent);
        }

        Assert.Equal(0, Assert.Single(pool.Now.Addresses).ConsecutiveFailures);
        (await pool.Connector.NextAsync()).Fail();
        await FailAsync(pool, FailuresToOpen - 1);
        pool.Time.Advance(Long);

        using CancellationTokenSource impatient = new();
        Task<TcpLease> probing = pool.RentAsync(impatient.Token);
        FakeDial probe = await pool.Connector.NextAsync();
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => probing);
        Task<TcpLease> heir = pool.RentAsync();
        probe.Open();
        await heir;
    }

    [Fact]
    public async Task A_dial_given_up_by_Clear_counts_for_nothing_and_a_probe_is_repeated()
    {
        await using PoolHarness pool = await OpenAsync();
        pool.Time.Advance(Long);
        Task<TcpLease> rent = pool.RentAsync();
        await pool.Connector.NextAsync();

        pool.Pool.Clear();
        (await pool.Connector.NextAsync()).Open();
        await rent;
    }

    [Fact]
    public async Task This_hosts_own_failures_never_open_it()
    {
        await using PoolHarness pool = new(Settings());
        for (int i = 0; i < 10; i++)
        {
            Task<TcpLease> rent = pool.RentAsync();
            (await pool.Connector.NextAsync()).Fail(new SocketException((int)SocketError.TooManyOpenSockets));
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        }

        Assert.Equal(BreakerState.Closed, pool.Now.BreakerState);
    }

    [Fact]
    public async Task Without_a_port_the_waiter_waits_and_the_breaker_stays_closed()
    {
        await using PoolHarness pool = new(Settings() with { RentTimeout = Timeout.InfiniteTimeSpan });
        Task<TcpLease> rent = pool.RentAsync();
        for (int i = 0; i < 5; i++)
        {
            (await pool.NextDialAsync(TimeSpan.FromMilliseconds(100))).Fail(new NoLocalPortException("none", inner: null));
            int failed = i + 1;
            await pool.UntilAsync(now => now.DialsFailed == failed);
        }

        FakeDial last = await pool.NextDialAsync(TimeSpan.FromMilliseconds(100));
        Assert.Equal(BreakerState.Closed, pool.Now.BreakerState);
        last.Open();
        await rent;
    }

    [Fact]
    public async Task MinIdleConnections_obey_it_and_come_back_with_the_server()
    {
        await using PoolHarness pool = new(Settings() with { MinIdleConnections = 2, MaxConnecting = 1 });
        for (int i = 0; i < FailuresToOpen; i++)
        {
            pool.Pass(Long);
            (await pool.Connector.NextAsync()).Fail();
            int failed = i + 1;
            await pool.UntilAsync(now => now.DialsFailed == failed);
        }

        pool.Maintain();
        Assert.Equal(FailuresToOpen, pool.Connector.Dials);

        // The breaker's own timer asks maintenance, which need not wait for its next sweep. The dial's end may arm it late.
        (await pool.NextDialAsync(TimeSpan.FromMilliseconds(100), maintain: true)).Open();
        await pool.UntilAsync(static now => now.Idle == 1);
        pool.Maintain();
        (await pool.Connector.NextAsync()).Open();
        await pool.UntilAsync(static now => now.Idle == 2);
    }

    [Fact]
    public async Task A_warm_up_fails_at_once()
    {
        await using PoolHarness pool = await OpenAsync();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.Pool.WarmUpAsync(2, CancellationToken.None));
        Assert.Equal(FailuresToOpen, pool.Connector.Dials);
    }

    [Fact]
    public async Task A_paused_pool_makes_nobody_fail()
    {
        await using PoolHarness pool = await OpenAsync();
        pool.Pool.Pause();
        Task<TcpLease> rent = pool.RentAsync();
        Assert.False(rent.IsCompleted);
        pool.Time.Advance(Long - TimeSpan.FromTicks(1));
        pool.Pool.Resume();
        (await pool.Connector.NextAsync()).Open();
        await rent;
    }

    [Fact]
    public async Task A_new_address_begins_with_a_closed_breaker()
    {
        await using PoolHarness pool = await OpenAsync();
        pool.Core.Apply(Settings() with { Address = EndpointAddress.Parse("10.0.0.2:7000") });
        Assert.Equal(BreakerState.Closed, pool.Now.BreakerState);
        await pool.DialAsync();
    }

    [Fact]
    public async Task A_lowered_MaxBackoff_shortens_the_pause_that_is_running()
    {
        const int Probes = 14;
        PoolSettings patient = Settings() with
        {
            MaxConnecting = 1,
            MaxConnections = 100,
            RentTimeout = Timeout.InfiniteTimeSpan,
            ConnectTimeout = TimeSpan.FromDays(1),
        };
        patient = patient with { Health = patient.Health with { MaxBackoff = TimeSpan.FromHours(1) } };
        await using PoolHarness pool = new(patient);
        await pool.DialAsync();
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, FailuresToOpen + Probes + 1).Select(_ => pool.RentAsync())];
        foreach (Task<TcpLease> rent in rents.SkipLast(1))
        {
            (await pool.NextDialAsync(TimeSpan.FromMinutes(1))).Fail(new IOException("refused"));
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        }

        // Its pause would be 27 minutes; nobody asks, so it is the timer that was set anew.
        pool.Core.Apply(patient with { Health = patient.Health with { MaxBackoff = TimeSpan.FromSeconds(1) } });
        Assert.Equal(BreakerState.Open, pool.Now.BreakerState);
        pool.Time.Advance(TimeSpan.FromSeconds(1));
        (await pool.Connector.NextAsync()).Open();
        await rents[^1];
        Assert.Equal(BreakerState.Closed, pool.Now.BreakerState);
    }

    [Fact]
    public async Task New_limits_hold_at_once()
    {
        await using PoolHarness pool = new(Settings());
        await FailAsync(pool, FailuresToOpen - 1);
        pool.Core.Apply(Settings() with { Health = TestSettings.Health with { FailuresToOpen = 100 } });
        await FailAsync(pool, 50);
        Assert.Equal(BreakerState.Closed, pool.Now.BreakerState);
    }

    /// <summary>Refused rents leave no waiter and no connection behind; retired, the pool would forget that the server is away.</summary>
    [Fact]
    public async Task An_ad_hoc_pool_that_refuses_rents_is_in_use()
    {
        await using PoolHarness pool = new(Settings(), isAdHoc: true);
        await FailAsync(pool);
        for (int i = 0; i < 10; i++)
        {
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.RentAsync());
            pool.Time.Advance(TimeSpan.FromSeconds(5));
            bool isRetired = Sweep();
            Assert.False(isRetired);
            await FailAsync(pool, 1);
        }

        pool.Time.Advance(TimeSpan.FromSeconds(5));
        Sweep();
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        Sweep();
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.True(Sweep() || pool.Core.IsRetired);

        bool Sweep()
        {
            pool.Core.Maintain(pool.Services.Clock.Read(), out bool retired);
            return retired;
        }
    }

    private static PoolSettings Settings() => PoolHarness.Settings(failuresToOpen: FailuresToOpen);

    private static async Task<PoolHarness> OpenAsync()
    {
        PoolHarness pool = new(Settings());
        await FailAsync(pool);
        return pool;
    }

    private static async Task FailAsync(PoolHarness pool, int times = FailuresToOpen)
    {
        for (int i = 0; i < times; i++)
        {
            Task<TcpLease> rent = pool.RentAsync();
            (await pool.Connector.NextAsync()).Fail(new IOException("refused"));
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        }
    }
}
