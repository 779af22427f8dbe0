using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>Keys and pools, and the end of a client.</summary>
public sealed class PooledTcpClientTests
{
    private static readonly IPEndPoint Device = new(IPAddress.Parse("10.1.2.3"), 502);

    [Fact]
    public async Task A_configured_name_is_found_whatever_its_case_and_an_unknown_one_is_named()
    {
        await using Harness client = new("cache", "gateway");
        Assert.Same(client.Client.GetPool("cache"), client.Client.GetPool("CACHE"));
        Assert.Equal(2, client.Client.Pools.Count);
        ArgumentException e = Assert.Throws<ArgumentException>(() => client.Client.GetPool("cash"));
        Assert.Contains("\"cash\"", e.Message, StringComparison.Ordinal);
        Assert.Contains("cache, gateway", e.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(() => client.Client.GetPool((string)null!));
        Assert.Throws<ArgumentNullException>(() => client.Client.GetPool((EndPoint)null!));
    }

    [Fact]
    public async Task Two_keys_never_share_a_connection()
    {
        await using Harness client = new("cache");
        TcpPool[] pools =
        [
            client.Client.GetPool("cache"),
            client.Client.GetPool(IPEndPoint.Parse("10.0.0.1:7000")), // the address of "cache"
            client.Client.GetPool(IPEndPoint.Parse("10.0.0.1:7000"), "tenant-a"),
            client.Client.GetPool(IPEndPoint.Parse("10.0.0.1:7000"), "tenant-b"),
            client.Client.GetPool(IPEndPoint.Parse("10.0.0.1:7001")),
            client.Client.GetPool(new DnsEndPoint("host", 7000)),
            client.Client.GetPool(new UnixDomainSocketEndPoint("/run/x.sock")),
        ];
        HashSet<long> ids = [];
        foreach (TcpPool pool in pools)
        {
            TcpLease lease = await RentAsync(pool);
            Assert.True(ids.Add(lease.ConnectionId));
            PoolHarness.Return(lease);
        }

        foreach (TcpPool pool in pools)
        {
            TcpLease lease = await RentAsync(pool);
            Assert.False(ids.Add(lease.ConnectionId));
            Assert.Equal(1, pool.GetSnapshot().Created);
            lease.Dispose();
        }

        Assert.Equal(pools.Length, pools.Select(static p => p.Name).Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public async Task Several_spellings_of_one_address_are_one_key()
    {
        await using Harness client = new();
        TcpPool pool = client.Client.GetPool(Device);
        Assert.Same(pool, client.Client.GetPool(new IPEndPoint(Device.Address.MapToIPv6(), 502)));
        Assert.Same(pool, client.Client.GetPool(new DnsEndPoint("10.1.2.3", 502)));
        Assert.Same(
            client.Client.GetPool(new DnsEndPoint("Device.Example", 502)), client.Client.GetPool(new DnsEndPoint("device.example", 502)));
        Assert.Same(
            client.Client.GetPool(new DnsEndPoint("2001:db8:0::1", 502)), client.Client.GetPool(IPEndPoint.Parse("[2001:db8::1]:502")));
        Assert.Equal("10.1.2.3:502", pool.Name);
        Assert.Equal("10.1.2.3:502#blue", client.Client.GetPool(Device, "blue").Name);
        PoolHarness.Return(await client.Client.RentAsync(Device, CancellationToken.None));
        Assert.Equal(1, pool.GetSnapshot().Idle);
    }

    [Fact]
    public async Task The_client_rents_by_name()
    {
        await using Harness client = new("cache");
        PoolHarness.Return(await client.Client.RentAsync("cache", CancellationToken.None));
        Assert.Equal(1, client.Client.GetPool("cache").GetSnapshot().Idle);
    }

    [Fact]
    public async Task An_unused_ad_hoc_pool_removes_itself_and_its_handle_stays_valid()
    {
        await using Harness client = new("cache");
        TcpPool handle = client.Client.GetPool(Device);
        PoolHarness.Return(await RentAsync(handle));
        Assert.Equal(2, client.Client.Pools.Count);
        await client.StepUntilAsync(() => client.Client.Pools.Count == 1);
        await client.StepUntilAsync(() => client.Time.ArmedTimers == 0);

        TcpLease lease = await RentAsync(handle);
        Assert.Equal(2, client.Client.Pools.Count);
        Assert.Same(client.Client.GetPool(Device).Core, handle.Core);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task One_that_was_asked_for_and_never_used_goes_too()
    {
        await using Harness client = new();
        client.Client.GetPool(Device);
        await client.StepUntilAsync(() => client.Client.Pools.Count == 0);
    }

    [Fact]
    public async Task An_old_handle_finds_the_successor_in_everything_it_does()
    {
        await using Harness client = new();
        TcpPool TakeOld() => client.Client.GetPool(Device);
        TcpPool[] old = [.. Enumerable.Range(0, 6).Select(_ => TakeOld())];
        Assert.Single(old.Distinct());
        TcpPool forRent = old[0];
        await client.StepUntilAsync(() => client.Client.Pools.Count == 0);

        TcpPool current = client.Client.GetPool(Device);
        Assert.NotSame(forRent, current);
        PoolHarness.Return(await RentAsync(current));
        Assert.True(forRent.TryRent(out TcpLease warm));
        Assert.True(warm.IsReused);
        PoolHarness.Return(warm);
        Assert.Equal(1, forRent.GetSnapshot().Idle);
    }

    [Theory]
    [InlineData("clear")]
    [InlineData("resume")]
    [InlineData("pause")]
    [InlineData("warm-up")]
    [InlineData("snapshot")]
    [InlineData("rent")]
    public async Task An_old_handle_acts_on_the_successor(string what)
    {
        await using Harness client = new();
        TcpPool old = client.Client.GetPool(Device);
        await client.StepUntilAsync(() => client.Client.Pools.Count == 0);
        TcpPool current = client.Client.GetPool(Device);
        PoolHarness.Return(await RentAsync(current));
        switch (what)
        {
            case "clear":
                old.Clear();
                Assert.Equal(0, current.GetSnapshot().Idle);
                break;
            case "resume":
                current.Pause();
                old.Resume();
                Assert.Equal(TcpPoolState.Open, current.GetSnapshot().State);
                break;
            case "pause":
                old.Pause();
                Assert.Equal(TcpPoolState.Paused, current.GetSnapshot().State);
                break;
            case "warm-up":
                await old.WarmUpAsync(2).WaitAsync(PoolHarness.Hang);
                Assert.Equal(2, current.GetSnapshot().Created);
                break;
            case "snapshot":
                Assert.Equal(current.GetSnapshot().Created, old.GetSnapshot().Created);
                break;
            default:
                Assert.True((await RentAsync(old)).IsReused);
                break;
        }
    }

    [Fact]
    public async Task DrainAsync_refuses_new_rents_serves_waiters_and_waits_for_leases()
    {
        await using Harness client = new("cache");
        client.Apply("cache", static o => o.MaxConnections = 1);
        TcpPool pool = client.Client.GetPool("cache");
        TcpLease lease = await RentAsync(pool);
        Task<TcpLease> waiting = RentAsync(pool);
        Task drained = client.Client.DrainAsync(TimeSpan.FromSeconds(30)).AsTask();
        await Assert.ThrowsAsync<PoolClosedException>(() => RentAsync(pool));
        await Assert.ThrowsAsync<PoolClosedException>(() => RentAsync(client.Client.GetPool(Device)));
        PoolHarness.Return(lease);
        TcpLease last = await waiting;
        Assert.False(drained.IsCompleted);
        PoolHarness.Return(last);
        await drained.WaitAsync(PoolHarness.Hang);
        Assert.Equal(TcpPoolState.Closed, pool.GetSnapshot().State);
        Assert.All(client.Transports, static t => Assert.True(t.IsClosed));
    }

    [Fact]
    public async Task A_pool_made_while_draining_is_born_draining()
    {
        await using Harness client = new("cache");
        TcpLease lease = await RentAsync(client.Client.GetPool("cache"));
        Task drained = client.Client.DrainAsync(Timeout.InfiniteTimeSpan).AsTask();

        TcpPool late = client.Client.GetPool(Device);
        Assert.NotEqual(TcpPoolState.Open, late.GetSnapshot().State);
        Assert.Contains("draining", (await Assert.ThrowsAsync<PoolClosedException>(() => RentAsync(late))).Message, StringComparison.Ordinal);
        Assert.Equal(0, late.GetSnapshot().Created);
        Assert.False(drained.IsCompleted);
        PoolHarness.Return(lease);
        await drained.WaitAsync(PoolHarness.Hang);
    }

    [Fact]
    public async Task DrainAsyncs_deadline_interrupts_the_leases()
    {
        await using Harness client = new("cache");
        TcpLease lease = await RentAsync(client.Client.GetPool("cache"));
        Task<int> receive = lease.ReceiveAsync(new byte[1]).AsTask();
        Task drained = client.Client.DrainAsync(TimeSpan.FromSeconds(2)).AsTask();
        client.Time.Advance(TimeSpan.FromSeconds(2));
        await drained.WaitAsync(PoolHarness.Hang);
        Assert.Contains("PoolShutdown", (await Assert.ThrowsAsync<ConnectionFaultedException>(() => receive)).Message, StringComparison.Ordinal);
        lease.Dispose();
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => client.Client.DrainAsync(TimeSpan.FromSeconds(-1)).AsTask());
    }

    [Fact]
    public async Task DrainAsyncs_token_ends_the_wait_as_the_deadline_does()
    {
        await using Harness client = new("cache");
        TcpLease lease = await RentAsync(client.Client.GetPool("cache"));
        using CancellationTokenSource stop = new();
        Task drained = client.Client.DrainAsync(Timeout.InfiniteTimeSpan, stop.Token).AsTask();
        Assert.False(drained.IsCompleted);
        await stop.CancelAsync();
        await drained.WaitAsync(PoolHarness.Hang);
        Assert.True(client.Transports.Single().IsClosed);
        lease.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispose_closes_everything_now(bool synchronously)
    {
        Harness client = new("cache");
        TcpPool pool = client.Client.GetPool("cache");
        TcpLease lease = await RentAsync(pool);
        PoolHarness.Return(await RentAsync(pool));
        if (synchronously)
        {
            client.Client.Dispose();
        }

        await client.DisposeAsync();
        await client.DisposeAsync();
        Assert.All(client.Transports, static t => Assert.True(t.IsClosed));
        await Assert.ThrowsAsync<PoolClosedException>(() => RentAsync(pool));
        await Assert.ThrowsAsync<PoolClosedException>(() => RentAsync(client.Client.GetPool(Device)));
        Assert.Throws<ArgumentException>(() => client.Client.GetPool("never configured"));
        lease.Dispose();
        await PoolHarness.UntilAsync(() => client.Time.ArmedTimers == 0);
    }

    [Fact]
    public async Task New_settings_reach_every_pool_and_new_endpoints_get_one()
    {
        await using Harness client = new("cache");
        TcpPool adHoc = client.Client.GetPool(Device);
        client.Apply("gateway", static o => o.MaxConnections = 7, alsoDefaults: static o => o.MaxConnections = 5);
        Assert.Equal(5, adHoc.GetSnapshot().MaxConnections);
        Assert.Equal(5, client.Client.GetPool("cache").GetSnapshot().MaxConnections);
        Assert.Equal(7, client.Client.GetPool("gateway").GetSnapshot().MaxConnections);
    }

    [Fact]
    public async Task Settings_that_one_ad_hoc_pool_cannot_take_change_none()
    {
        await using Harness client = new("cache");
        client.Client.GetPool(new UnixDomainSocketEndPoint("/run/x.sock"));
        TcpPool device = client.Client.GetPool(Device);
        Assert.Throws<ArgumentException>(() => client.Apply("cache", static o => o.MaxConnections = 9, alsoDefaults: static o =>
        {
            o.Tls.Enabled = true;
            o.MaxConnections = 5;
        }));
        Assert.Equal(100, client.Client.GetPool("cache").GetSnapshot().MaxConnections);
        Assert.Equal(100, device.GetSnapshot().MaxConnections);
        Assert.Equal(0, device.GetSnapshot().Generation);
    }

    [Fact]
    public async Task DrainAsync_refuses_a_deadline_no_timer_can_hold_before_anything_drains()
    {
        await using Harness client = new("cache");
        TcpPool pool = client.Client.GetPool("cache");
        PoolHarness.Return(await RentAsync(pool));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => client.Client.DrainAsync(TimeSpan.MaxValue).AsTask().WaitAsync(PoolHarness.Hang));
        Assert.Equal(TcpPoolState.Open, pool.GetSnapshot().State);
        Assert.True(pool.TryRent(out TcpLease lease));
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task GetPool_by_name_during_the_reload_that_adds_it_waits_for_it()
    {
        TcpPool? found = null;
        Exception? thrown = null;
        Thread? reader = null;
        await using Harness client = new("cache");
        PooledTcpClient reloaded = client.Client;
        client.OnConnector = () =>
        {
            // The new settings can be seen already, the pool cannot yet.
            reader = new Thread(() =>
            {
                try
                {
                    found = reloaded.GetPool("gateway");
                }
                catch (Exception e)
                {
                    thrown = e;
                }
            })
            { IsBackground = true };
            reader.Start();
            Assert.True(SpinWait.SpinUntil(
                () => (reader.ThreadState & (ThreadState.WaitSleepJoin | ThreadState.Stopped)) != ThreadState.Running, PoolHarness.Hang));
        };
        client.Apply("gateway", static o => o.MaxConnections = 7);
        Assert.True(reader!.Join(PoolHarness.Hang));
        Assert.Null(thrown);
        Assert.Same(client.Client.GetPool("gateway"), found);
    }

    [Fact]
    public async Task MinIdleConnections_are_dialed_without_a_rent()
    {
        await using Harness client = new();
        client.Apply("cache", static o => o.MinIdleConnections = 3);
        await PoolHarness.UntilAsync(() => client.Client.GetPool("cache").GetSnapshot().Idle == 3);
    }

    [Fact]
    public async Task Hooks_belong_to_their_endpoint()
    {
        await using Harness client = new(
            new Dictionary<string, EndpointHooks> { ["cache"] = new EndpointHooks { Handshake = static (_, _) => ValueTask.FromResult<object?>("hello") } }, "cache", "gateway");
        Assert.Equal("hello", (await RentAsync(client.Client.GetPool("cache"))).Session);
        Assert.Null((await RentAsync(client.Client.GetPool("gateway"))).Session);
        Assert.Null((await RentAsync(client.Client.GetPool(Device))).Session);
    }

    private static Task<TcpLease> RentAsync(TcpPool pool) => pool.RentAsync(CancellationToken.None).AsTask().WaitAsync(PoolHarness.Hang);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_end_waits_for_closes_under_way_but_not_for_ever(bool drain)
    {
        Harness client = new("cache");
        client.Apply("cache", static e =>
        {
            e.MaxUses = 1;
            e.Shutdown.Goodbye = "redis";
        });
        client.OnTransport = static t => t.PeerHoldsOn = true;
        PoolHarness.Return(await RentAsync(client.Client.GetPool("cache")));
        FakeTransport transport = client.Transports.Single();
        await PoolHarness.UntilAsync(() => string.Equals(transport.Moves, "farewell wait", StringComparison.Ordinal));

        Task end = drain ? client.Client.DrainAsync(TimeSpan.Zero).AsTask() : client.Client.DisposeAsync().AsTask();
        Assert.False(end.IsCompleted);

        // GoodbyeTimeout, then DrainTimeout, each once its wait has begun: time that ran on before would be the end's own, which is 5 s.
        client.Time.Advance(TimeSpan.FromSeconds(1));
        await PoolHarness.UntilAsync(() => transport.Moves.EndsWith("fin wait", StringComparison.Ordinal));
        client.Time.Advance(TimeSpan.FromSeconds(2));
        await end.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.True(transport.IsClosed);
        await client.DisposeAsync();
    }

    [Fact]
    public async Task A_close_that_waits_for_its_share_does_not_hold_up_the_end()
    {
        Harness client = new("cache");
        client.Apply("cache", static e =>
        {
            e.MaxUses = 1;
            e.Shutdown.ClosesFirst = ClosesFirst.Client;
            e.Shutdown.DrainTimeout = TimeSpan.FromHours(1);
            e.Shutdown.GoodbyeTimeout = TimeSpan.FromMilliseconds(1);
        });
        client.OnTransport = static t => t.PeerHoldsOn = true;
        PoolHarness.Return(await RentAsync(client.Client.GetPool("cache")));
        Task end = client.Client.DisposeAsync().AsTask();
        Assert.False(end.IsCompleted);
        client.Transports.Single().PeerCloses();
        await end.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_reload_of_MaxClosing_reaches_the_lane()
    {
        await using Harness client = new("cache");
        client.OnTransport = static t => t.PeerHoldsOn = true;
        Configure(maxClosing: 1);
        TcpPool pool = client.Client.GetPool("cache");
        await ChurnAsync();
        await ChurnAsync();

        // The second found the lane full.
        await PoolHarness.UntilAsync(() => pool.GetSnapshot() is { Closing: 1, Closed: 1 });
        Assert.Equal(1, pool.GetSnapshot().ClosedByMethod["quiet"]);
        Configure(maxClosing: 2);
        await ChurnAsync();
        await PoolHarness.UntilAsync(() => client.Transports.Last().Moves.Length > 0);
        Assert.Equal("farewell wait", client.Transports.Last().Moves);
        Assert.Equal(2, pool.GetSnapshot().Closing);
        foreach (FakeTransport transport in client.Transports)
        {
            transport.PeerCloses();
        }

        async Task ChurnAsync() => PoolHarness.Return(await RentAsync(pool));

        void Configure(int maxClosing) => client.Apply(
            "cache",
            static e =>
            {
                e.MaxUses = 1;
                e.Shutdown.Goodbye = "redis";
            },
            maxClosing: maxClosing);
    }

    [Fact]
    public async Task A_reload_of_MaxTotalConnections_holds_at_once_for_all_pools()
    {
        await using Harness client = new("cache", "gateway");
        TcpLease lease = await RentAsync(client.Client.GetPool("cache"));
        PoolHarness.Return(await RentAsync(client.Client.GetPool("gateway")));
        Configure(maxTotal: 1);
        await PoolHarness.UntilAsync(() => client.Client.GetPool("gateway").GetSnapshot() is { Idle: 0, Closing: 0 });
        Task<TcpLease> named = RentAsync(client.Client.GetPool("gateway"));
        Task<TcpLease> adHoc = RentAsync(client.Client.GetPool(new IPEndPoint(IPAddress.Loopback, 7)));
        Assert.False(named.IsCompleted);
        Assert.False(adHoc.IsCompleted);

        Configure(maxTotal: null);
        PoolHarness.Return(await named);
        PoolHarness.Return(await adHoc);
        PoolHarness.Return(lease);

        void Configure(int? maxTotal) => client.Apply("cache", static _ => { }, maxTotal: maxTotal);
    }

    private sealed class Harness : IAsyncDisposable
    {
        private readonly ConcurrentQueue<FakeConnector> _connectors = new();
        private readonly string[] _names;

        public Harness(params string[] names)
            : this(new Dictionary<string, EndpointHooks>(), names)
        {
        }

        public Harness(Dictionary<string, EndpointHooks> hooks, params string[] names)
        {
            _names = names;
            Client = new PooledTcpClient(Settings(names), hooks, loggerFactory: null, meterFactory: null, Time, (_, _) =>
            {
                FakeConnector connector = new()
                {
                    Automatic = _ =>
                    {
                        FakeTransport transport = new();
                        OnTransport?.Invoke(transport);
                        return transport;
                    },
                };
                _connectors.Enqueue(connector);
                OnConnector?.Invoke();
                return connector;
            },
            static (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse("10.0.0.9")]));
        }

        public FakeTime Time { get; } = new();

        public PooledTcpClient Client { get; }

        /// <summary>Runs while a pool is being made.</summary>
        public Action? OnConnector { get; set; }

        /// <summary>Gets each connection before the client does.</summary>
        public Action<FakeTransport>? OnTransport { get; set; }

        public IEnumerable<FakeTransport> Transports => _connectors.SelectMany(static c => c.Transports);

        public void Apply(string name, Action<TcpEndpointOptions> configure, Action<TcpEndpointOptions>? alsoDefaults = null, int? maxClosing = null, int? maxTotal = null) =>
            Client.Apply(Settings([.. _names.Append(name).Distinct()], name, configure, alsoDefaults, maxClosing, maxTotal));

        public Task StepUntilAsync(Func<bool> condition) => PoolHarness.UntilAsync(() =>
        {
            if (condition())
            {
                return true;
            }

            Time.Advance(TimeSpan.FromSeconds(1));
            return false;
        });

        public ValueTask DisposeAsync() => Client.DisposeAsync();

        private static ClientSettings Settings(
            string[] names, string? changed = null, Action<TcpEndpointOptions>? configure = null, Action<TcpEndpointOptions>? defaults = null,
            int? maxClosing = null, int? maxTotal = null)
        {
            PooledTcpOptions options = new();
            options.MaxClosing = maxClosing ?? options.MaxClosing;
            options.MaxTotalConnections = maxTotal;
            defaults?.Invoke(options.Defaults);
            foreach (string name in names)
            {
                options.AddEndpoint(name, endpoint =>
                {
                    endpoint.Address = "10.0.0.1:7000";
                    if (name == changed)
                    {
                        configure!(endpoint);
                    }
                });
            }

            return SettingsFactory.Create(options);
        }
    }
}
