using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>An endpoint by name: when it is looked up, how its connections spread, and what becomes of those whose address is gone.</summary>
public sealed class NameTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    private readonly FakeResolver _resolver = new("10.0.0.1", "10.0.0.2");

    [Fact]
    public async Task The_first_dial_looks_up_and_the_next_ones_do_not()
    {
        await using PoolHarness pool = Pool();
        Assert.Equal("cache.test", ((DnsEndPoint)Assert.Single(pool.Now.Addresses).EndPoint).Host);
        await pool.DialAsync();
        await pool.DialAsync();
        Assert.Equal(1, _resolver.Lookups);
        Assert.Equal(["10.0.0.1:7000 1", "10.0.0.2:7000 1"], Shown(pool));
    }

    [Fact]
    public async Task Connections_spread_over_the_addresses()
    {
        await using PoolHarness pool = Pool();
        _resolver.MoveTo("10.0.0.1", "10.0.0.2", "10.0.0.3");
        for (int i = 0; i < 9; i++)
        {
            await pool.DialAsync();
        }

        Assert.Equal([3, 3, 3], pool.Now.Addresses.Select(static a => a.Connections));
    }

    [Fact]
    public async Task A_closed_connection_makes_room_at_its_address()
    {
        await using PoolHarness pool = Pool();
        (TcpLease first, _) = await pool.DialAsync();
        await pool.DialAsync();
        first.Discard();
        await pool.DialAsync();
        Assert.Equal([1, 1], pool.Now.Addresses.Select(static a => a.Connections));
    }

    [Fact]
    public async Task A_name_that_cannot_be_resolved_is_an_unavailable_endpoint_and_opens_the_breaker()
    {
        await using PoolHarness pool = Pool();
        _resolver.Fault = new SocketException((int)SocketError.HostNotFound);
        for (int i = 0; i < 5; i++)
        {
            EndpointUnavailableException error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.RentAsync());
            Assert.Equal(SocketError.HostNotFound, error.SocketErrorCode);
        }

        Assert.True(pool.RentAsync().IsFaulted);
        Assert.Equal(5, _resolver.Lookups);

        _resolver.Fault = null;
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        await pool.DialAsync();
        Assert.Equal(BreakerState.Closed, pool.Now.BreakerState);
    }

    [Fact]
    public async Task Idle_connections_to_an_address_that_is_gone_close_and_leased_ones_when_they_come_back()
    {
        await using PoolHarness pool = Pool();
        (TcpLease leased, FakeTransport gone) = await pool.DialAsync();
        (TcpLease other, FakeTransport stays) = await pool.DialAsync();
        (TcpLease idle, FakeTransport goneIdle) = await pool.DialAsync();
        Assert.Equal(["10.0.0.1:7000 2", "10.0.0.2:7000 1"], Shown(pool));
        PoolHarness.Return(idle);

        _resolver.MoveTo("10.0.0.2");
        await RefreshAsync(pool);
        await goneIdle.Closed.WaitAsync(PoolHarness.Hang);

        Assert.False(gone.IsClosed);
        Assert.False(stays.IsClosed);
        Assert.Equal(1, pool.Now.ClosedByReason["address_removed"]);
        PoolHarness.Return(leased);
        PoolHarness.Return(other);
        Assert.True(gone.IsClosed);
        Assert.False(stays.IsClosed);
        Assert.Equal(2, pool.Now.ClosedByReason["address_removed"]);
        Assert.Equal(["10.0.0.2:7000 1"], Shown(pool));
    }

    [Fact]
    public async Task A_leased_connection_whose_address_comes_back_in_time_stays()
    {
        await using PoolHarness pool = Pool();
        (TcpLease leased, FakeTransport transport) = await pool.DialAsync();
        _resolver.MoveTo("10.0.0.2");
        await RefreshAsync(pool);
        _resolver.MoveTo("10.0.0.1", "10.0.0.2");
        await RefreshAsync(pool);

        PoolHarness.Return(leased);
        Assert.False(transport.IsClosed);
        Assert.True((await pool.RentAsync()).IsReused);
    }

    [Fact]
    public async Task A_waiter_gets_a_dial_to_the_new_address_not_the_connection_to_the_old_one()
    {
        await using PoolHarness pool = Pool(max: 1);
        (TcpLease leased, FakeTransport old) = await pool.DialAsync();
        Task<TcpLease> rent = pool.RentAsync();
        _resolver.MoveTo("10.0.0.9");
        await RefreshAsync(pool);

        PoolHarness.Return(leased);
        FakeDial dial = await pool.Connector.NextAsync();
        Assert.Equal(IPEndPoint.Parse("10.0.0.9:7000"), Assert.Single(dial.Race.Targets).EndPoint);
        dial.Open();
        await rent;
        Assert.True(old.IsClosed);
    }

    /// <summary>The publication of a return and the news of the address cross: whoever comes second closes it.</summary>
    [Fact]
    public async Task An_address_that_goes_while_a_connection_is_on_its_way_back()
    {
        await using PoolHarness pool = Pool();
        (TcpLease leased, FakeTransport transport) = await pool.DialAsync(new FakeTransport { MustPark = true });
        _resolver.MoveTo("10.0.0.9");
        transport.OnPark = () => Assert.True(RefreshAsync(pool).Wait(PoolHarness.Hang));
        PoolHarness.Return(leased);
        Assert.True(transport.IsClosed);
        Assert.Equal(1, pool.Now.ClosedByReason["address_removed"]);
    }

    [Fact]
    public async Task A_lookup_that_fails_keeps_the_addresses()
    {
        await using PoolHarness pool = Pool();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        _resolver.Fault = new SocketException((int)SocketError.TryAgain);
        pool.Time.Advance(Interval);
        pool.Maintain();
        await PoolHarness.UntilAsync(() => _resolver.Lookups == 2);
        Assert.False(transport.IsClosed);
        Assert.Equal(2, pool.Now.Addresses.Count);
    }

    [Fact]
    public async Task After_a_rest_the_first_dial_goes_to_the_address_of_today()
    {
        await using PoolHarness pool = Pool();
        (TcpLease lease, _) = await pool.DialAsync();
        lease.Discard();
        _resolver.MoveTo("10.0.0.9");
        pool.Time.Advance(TimeSpan.FromHours(8));
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        Assert.Equal("10.0.0.9:7000", Assert.Single(dial.Race.Targets).EndPoint.ToString());
        dial.Open();
        await rent;
        Assert.Equal(["10.0.0.9:7000 1"], Shown(pool));
    }

    [Fact]
    public async Task A_name_server_that_hangs_is_waited_for_once_and_only_a_moment()
    {
        TaskCompletionSource<IPAddress[]> hanging = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using PoolHarness pool = Pool();
        await pool.DialAsync();
        _resolver.Answer = hanging.Task;
        pool.Time.Advance(TimeSpan.FromHours(1));
        Task<TcpLease> rent = pool.RentAsync();
        await PoolHarness.UntilAsync(() => _resolver.Lookups == 2);

        // The rent's deadline, the dial's budget, the lookup's own end, and the patience: now time may pass, and no more of it.
        await PoolHarness.UntilAsync(() => pool.Time.ArmedTimers == 4, () => $"{pool.Time.ArmedTimers} timers");
        pool.Time.Advance(NameCache.RefreshPatience);
        FakeDial dial = await pool.Connector.NextAsync();
        Assert.Equal(2, dial.Race.Targets.Count);
        dial.Open();
        await rent;

        // The same lookup: nobody waits for it any more.
        await pool.DialAsync();
        Assert.Equal(2, _resolver.Lookups);
        hanging.SetResult([IPAddress.Parse("10.0.0.1")]);
    }

    [Fact]
    public async Task A_dial_that_the_end_of_the_pool_gave_up_asks_nobody()
    {
        PoolHarness pool = Pool();
        await pool.DialAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(5));
        Task<TcpLease> rent = pool.RentAsync();
        await pool.Connector.NextAsync();
        await pool.DisposeAsync();
        await Assert.ThrowsAsync<PoolClosedException>(() => rent);
        await pool.UntilAsync(static now => now.Connecting == 0);
        Assert.Equal(1, _resolver.Lookups);
    }

    [Fact]
    public async Task A_lookup_ends_with_the_pool_and_its_timer_too()
    {
        await using PoolHarness pool = Pool();
        (TcpLease lease, _) = await pool.DialAsync();
        lease.Discard();
        _resolver.Answer = new TaskCompletionSource<IPAddress[]>().Task;
        pool.Time.Advance(Interval);
        pool.Maintain();
        await PoolHarness.UntilAsync(() => _resolver.Lookups == 2);
        Assert.NotEqual(0, pool.Time.ArmedTimers);
        pool.Core.Close();
        await PoolHarness.UntilAsync(() => pool.Time.ArmedTimers == 0);
        pool.Time.Advance(TimeSpan.FromHours(1));
        pool.Maintain();
        Assert.Equal(2, _resolver.Lookups);
    }

    [Fact]
    public async Task A_failed_dial_brings_the_next_lookup_forward()
    {
        await using PoolHarness pool = Pool();
        await pool.DialAsync();
        _resolver.MoveTo("10.0.0.9");
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        Task<TcpLease> rent = pool.RentAsync();
        (await pool.Connector.NextAsync()).Fail();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);

        await pool.UntilAsync(static now => now.Addresses is [{ EndPoint: IPEndPoint { Address: var a } }] && a.Equals(IPAddress.Parse("10.0.0.9")));
        await pool.DialAsync();
    }

    [Fact]
    public async Task An_address_that_appears_while_all_others_are_open_is_dialed_at_once()
    {
        await using PoolHarness pool = Pool();
        _resolver.MoveTo("10.0.0.1");
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        for (int i = 0; i < 5; i++)
        {
            Task<TcpLease> rent = pool.RentAsync();
            (await pool.Connector.NextAsync()).Fail();
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        }

        Assert.Equal(BreakerState.Open, pool.Now.BreakerState);
        _resolver.MoveTo("10.0.0.1", "10.0.0.2");
        await RefreshAsync(pool);
        Assert.Equal(BreakerState.Closed, pool.Now.BreakerState);
        await pool.DialAsync();
    }

    [Fact]
    public async Task A_new_name_is_looked_up_anew()
    {
        await using PoolHarness pool = Pool();
        await pool.DialAsync();
        pool.Core.Apply(Settings(max: 100) with { Address = EndpointAddress.Parse("other.test:7001") });
        await pool.DialAsync();
        Assert.Equal(2, _resolver.Lookups);
        Assert.Equal("10.0.0.1:7001 1", Shown(pool)[0]);
    }

    [Fact]
    public async Task A_connect_callback_gets_the_name()
    {
        await using PoolHarness pool = new(Settings(max: 4), new EndpointHooks { Connect = (_, _) => throw new InvalidOperationException() }, resolver: _resolver);
        await pool.DialAsync();
        Assert.Equal(0, _resolver.Lookups);
        Assert.Equal(new DnsEndPoint("cache.test", 7000), Assert.Single(pool.Now.Addresses).EndPoint);
    }

    private static PoolSettings Settings(int max) =>
        PoolHarness.Settings(max: max) with { Address = EndpointAddress.Parse("cache.test:7000"), DnsRefreshInterval = Interval, RentTimeout = TimeSpan.FromHours(2) };

    private static string[] Shown(PoolHarness pool) => [.. pool.Now.Addresses.Select(static a => $"{a.EndPoint} {a.Connections}")];

    private PoolHarness Pool(int max = 100) => new(Settings(max), resolver: _resolver);

    private async Task RefreshAsync(PoolHarness pool)
    {
        int before = _resolver.Lookups;
        pool.Time.Advance(Interval);
        pool.Maintain();
        await PoolHarness.UntilAsync(() => _resolver.Lookups > before
            && pool.Now.Addresses.Select(static a => ((IPEndPoint)a.EndPoint).Address.ToString()).SequenceEqual(_resolver.Addresses, StringComparer.Ordinal));

        // Told, but perhaps not over yet; one that runs would swallow the next.
        TimeSpan running = pool.Services.Clock.Read() + NameCache.ShortestPause;
        await PoolHarness.UntilAsync(() => pool.Maintain() is not { } due || due > running);
    }
}
