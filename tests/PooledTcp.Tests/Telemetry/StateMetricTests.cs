using System.Net;
using PooledTcp.Ports;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>The observable ones: they are looked up when somebody asks, so a late listener sees what is, not what changed.</summary>
public sealed class StateMetricTests
{
    private static readonly IPEndPoint Device = new(IPAddress.Parse("10.1.2.3"), 502);

    [Fact]
    public async Task The_fullest_address_presses_not_the_sum_of_all()
    {
        await using MetricRig rig = new();
        PortLedger ledger = new(rig.Time, TimeSpan.FromSeconds(65.2));
        TcpLease[] leases = [await RentAtAsync("10.0.0.2", usable: 4, ports: 3), await RentAtAsync("10.0.0.3", usable: 1000, ports: 1)];
        Assert.Equal(0.75, rig.Now.PortPressure);
        Assert.Equal($"0.75 {MetricRig.Pool}", Assert.Single(rig.Read("pooled_tcp.port.pressure")));
        Array.ForEach(leases, PoolHarness.Return);

        Task<TcpLease> RentAtAsync(string address, int usable, int ports)
        {
            PortAccount? account = null;
            for (int i = 0; i < ports; i++)
            {
                account = ledger.Connecting(PortTuple.To(new IPEndPoint(IPAddress.Parse(address), 7000)), new PortRange(1, 1000), usable);
                ledger.Connected(account);
            }

            rig.Connector.Automatic = _ => new FakeTransport { Account = account };
            return rig.RentAsync();
        }
    }

    [Fact]
    public async Task States_and_pending_requests_follow_every_step()
    {
        await using MetricRig rig = new(static o => (o.MaxConnections, o.MaxConnecting) = (3, 2), automatic: false);
        Assert.Equal("idle 0, used 0, connecting 0, closing 0", rig.States());
        Assert.Equal([$"0 {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.pending_requests"));

        Task<TcpLease>[] rents = new Task<TcpLease>[4];
        FakeDial[] dials = new FakeDial[2];
        for (int i = 0; i < rents.Length; i++)
        {
            rents[i] = rig.RentAsync();
            Assert.Equal($"idle 0, used 0, connecting {Math.Min(i + 1, 2)}, closing 0", rig.States());
            Assert.Equal([$"{i + 1} {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.pending_requests"));
            if (i < dials.Length)
            {
                dials[i] = await rig.Connector.NextAsync();
            }
        }

        dials[0].Open();
        TcpLease first = await rents[0];
        Assert.Equal("idle 0, used 1, connecting 2, closing 0", rig.States());
        dials[1].Open();
        TcpLease second = await rents[1];
        Assert.Equal("idle 0, used 2, connecting 1, closing 0", rig.States());
        PoolHarness.Return(first);
        TcpLease third = await rents[2];
        PoolHarness.Return(third);
        TcpLease fourth = await rents[3];
        Assert.Equal("idle 0, used 2, connecting 1, closing 0", rig.States());
        Assert.Equal([$"0 {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.pending_requests"));

        FakeTransport last = (await rig.Connector.NextAsync()).Open(new FakeTransport { PeerHoldsOn = true });
        await rig.UntilAsync(() => rig.States() == "idle 1, used 2, connecting 0, closing 0");
        PoolHarness.Return(second);
        PoolHarness.Return(fourth);
        Assert.Equal("idle 3, used 0, connecting 0, closing 0", rig.States());

        rig.Cache.Clear();
        await rig.UntilAsync(() => rig.States() == "idle 0, used 0, connecting 0, closing 1");
        last.PeerCloses();
        await rig.UntilAsync(() => rig.States() == "idle 0, used 0, connecting 0, closing 0");
    }

    [Fact]
    public async Task Limits_are_those_in_force()
    {
        await using MetricRig rig = new(static o => o.MaxConnections = 7);
        Assert.Equal([$"7 {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.max"));
        Assert.Equal([$"7 {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.idle.max"));
        Assert.Equal([$"0 {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.idle.min"));

        rig.Client.Apply(MetricRig.Settings(static o => (o.MaxConnections, o.MinIdleConnections) = (5, 2)));
        Assert.Equal([$"5 {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.max"));
        Assert.Equal([$"5 {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.idle.max"));
        Assert.Equal([$"2 {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.idle.min"));
    }

    [Fact]
    public async Task A_late_listener_sees_the_truth()
    {
        await using MetricRig rig = new(listens: false);
        await rig.FillAsync(2);
        TcpLease lease = await rig.RentAsync();
        rig.Listen();
        Assert.Equal("idle 1, used 1, connecting 0, closing 0", rig.States());
        PoolHarness.Return(lease);
        Assert.Equal("idle 2, used 0, connecting 0, closing 0", rig.States());
    }

    [Fact]
    public async Task The_server_address_can_be_left_out_at_once()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(1);
        Assert.Equal([$"100 {MetricRig.Pool}"], rig.Read("pooled_tcp.connection.max"));
        rig.Client.Apply(MetricRig.Settings(configure: static o => o.Telemetry.ServerAddress = false));
        Assert.Equal(
            [$"0 {MetricRig.Pool}", "100 pooled_tcp.pool.name=cache"],
            rig.Read("pooled_tcp.connection.max").Order(StringComparer.Ordinal));
        TcpLease lease = await rig.RentAsync();
        rig.Time.Advance(TimeSpan.FromSeconds(1));
        PoolHarness.Return(lease);
        Assert.Equal("1 pooled_tcp.pool.name=cache", rig.Read("pooled_tcp.connection.use_time")[^1]);

        rig.Client.Apply(MetricRig.Settings());
        Assert.Equal(
            ["0 pooled_tcp.pool.name=cache", $"100 {MetricRig.Pool}"],
            rig.Read("pooled_tcp.connection.max").Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_unix_socket_has_a_path_and_no_port()
    {
        await using MetricRig rig = new(static o => o.Address = "unix:/run/cache.sock");
        Assert.Equal(["100 pooled_tcp.pool.name=cache server.address=/run/cache.sock"], rig.Read("pooled_tcp.connection.max"));
    }

    [Fact]
    public async Task Ad_hoc_pools_share_a_name_and_partitions_a_series()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(1, rig.Client.GetPool(Device));
        await rig.FillAsync(2, rig.Client.GetPool(Device, "tenant-a"));
        const string series = "pooled_tcp.pool.name=ad_hoc server.address=10.1.2.3 server.port=502";
        Assert.Single(rig.Read("pooled_tcp.connection.count"), $"3 pooled_tcp.connection.state=idle {series}");
        Assert.Single(rig.Read("pooled_tcp.connection.max"), $"200 {series}");
        Assert.DoesNotContain(rig.Read("pooled_tcp.connection.count"), static one => one.Contains("tenant-a", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_retired_ad_hoc_pool_leaves_zeros()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(2, rig.Client.GetPool(Device));
        const string series = "pooled_tcp.pool.name=ad_hoc server.address=10.1.2.3 server.port=502";
        Assert.Contains($"2 pooled_tcp.connection.state=idle {series}", rig.Read("pooled_tcp.connection.count"));
        await rig.StepUntilAsync(() => rig.Client.Pools.Count == 1);

        // A collector that keeps the last value of each series would show the old ones for ever.
        foreach (string state in (string[])["idle", "used", "connecting", "closing"])
        {
            Assert.Single(rig.Read("pooled_tcp.connection.count"), $"0 pooled_tcp.connection.state={state} {series}");
        }

        foreach (string limit in (string[])["max", "idle.max", "idle.min", "pending_requests"])
        {
            Assert.Single(rig.Read($"pooled_tcp.connection.{limit}"), $"0 {series}");
        }
    }

    [Fact]
    public async Task Two_clients_of_one_factory_add_up()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(1);
        await using (PooledTcpClient other = rig.NewClient(configure: static o => o.AddEndpoint("other", static e => e.Address = "10.0.0.2:7000")))
        {
            await rig.FillAsync(2, other.GetPool("cache"));
            await rig.FillAsync(1, other.GetPool("other"));
            IReadOnlyList<string> counts = rig.Read("pooled_tcp.connection.count");
            Assert.Single(counts, $"3 pooled_tcp.connection.state=idle {MetricRig.Pool}");
            Assert.Single(counts, "1 pooled_tcp.connection.state=idle pooled_tcp.pool.name=other server.address=10.0.0.2 server.port=7000");
            Assert.Single(rig.Read("pooled_tcp.connection.max"), $"200 {MetricRig.Pool}");
        }

        Assert.Equal("idle 1, used 0, connecting 0, closing 0", rig.States());
        Assert.Single(rig.Read("pooled_tcp.connection.max"), $"100 {MetricRig.Pool}");
    }

    [Fact]
    public async Task The_first_fifty_ad_hoc_addresses_are_told_apart_and_no_more()
    {
        await using MetricRig rig = new();
        await FillAddressesAsync(rig, first: 0, count: 120);

        string[] idle = [.. rig.Read("pooled_tcp.connection.count").Where(static one =>
            one.Contains("state=idle", StringComparison.Ordinal) && one.Contains("pool.name=ad_hoc", StringComparison.Ordinal))];
        Assert.Equal(50, idle.Count(static one => one.StartsWith("1 ", StringComparison.Ordinal) && one.Contains("server.port=502", StringComparison.Ordinal)));
        Assert.Equal("70 pooled_tcp.connection.state=idle pooled_tcp.pool.name=ad_hoc", Assert.Single(idle, static one => !one.Contains("server.", StringComparison.Ordinal)));
        Assert.Equal(51, idle.Length);
    }

    [Fact]
    public async Task A_reload_tells_no_other_addresses_apart()
    {
        await using MetricRig rig = new();
        await FillAddressesAsync(rig, first: 0, count: 50);
        Assert.Equal(51, rig.Read("pooled_tcp.connection.max").Count);
        await rig.StepUntilAsync(() => rig.Client.Pools.Count == 1);
        rig.Client.Apply(MetricRig.Settings(static o => o.MaxConnections = 9));
        await FillAddressesAsync(rig, first: 50, count: 50);
        Assert.Equal(52, rig.Read("pooled_tcp.connection.max").Count);
    }

    [Fact]
    public async Task Sockets_are_counted_only_where_asked_for()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(1);
        Assert.Empty(rig.Read("pooled_tcp.socket.count"));
    }

    [Fact]
    public async Task A_closed_client_is_silent()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(2);
        await rig.Client.DisposeAsync();
        Assert.DoesNotContain(rig.Read("pooled_tcp.connection.count"), static one => !one.StartsWith("0 ", StringComparison.Ordinal));
    }

    private static async Task FillAddressesAsync(MetricRig rig, int first, int count)
    {
        for (int i = first; i < first + count; i++)
        {
            await rig.FillAsync(1, rig.Client.GetPool(new IPEndPoint(new IPAddress([10, 2, 0, (byte)i]), 502)));
        }
    }
}
