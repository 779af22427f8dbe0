using System.Net;
using System.Net.Sockets;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>New settings for a client in use.</summary>
public sealed class ClientReloadTests
{
    [Fact]
    public async Task New_settings_reach_every_pool_and_new_endpoints_get_one()
    {
        await using ClientHarness client = new("cache");
        TcpPool adHoc = client.Client.GetPool(ClientHarness.Device);
        client.Apply("gateway", static o => o.MaxConnections = 7, alsoDefaults: static o => o.MaxConnections = 5);
        Assert.Equal(5, adHoc.GetSnapshot().MaxConnections);
        Assert.Equal(5, client.Client.GetPool("cache").GetSnapshot().MaxConnections);
        Assert.Equal(7, client.Client.GetPool("gateway").GetSnapshot().MaxConnections);
    }

    [Fact]
    public async Task The_only_endpoint_is_found_by_every_spelling_and_so_are_those_that_a_reload_adds()
    {
        await using ClientHarness client = new("cache");
        TcpPool cache = client.Client.GetPool("cache");
        Assert.Equal("cache", cache.Name);
        Assert.Same(cache, client.Client.GetPool(new string("cache".AsSpan())));
        Assert.Same(cache, client.Client.GetPool("CACHE"));
        Assert.Throws<ArgumentException>(() => client.Client.GetPool("gateway"));

        client.Apply("gateway", static o => o.MaxConnections = 7);
        Assert.Same(cache, client.Client.GetPool("cache"));
        Assert.Same(cache, client.Client.GetPool("CACHE"));
        Assert.Equal("gateway", client.Client.GetPool("gateway").Name);
    }

    /// <summary>Up to four are compared one after the other.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(1000)]
    public async Task Names_are_found_whatever_their_case_however_many_there_are(int count)
    {
        string[] names = [.. Enumerable.Range(0, count).Select(static i => $"key-{i}")];
        await using ClientHarness client = new(names);
        TcpPool[] pools = [.. names.Select(client.Client.GetPool)];
        Assert.Equal(names, pools.Select(static pool => pool.Name));
        Assert.Equal(pools, names.Select(name => client.Client.GetPool(name.ToUpperInvariant())));
        Assert.Throws<ArgumentException>(() => client.Client.GetPool("gateway"));

        client.Apply("gateway", static _ => { });
        Assert.Equal("gateway", client.Client.GetPool("Gateway").Name);
        Assert.Equal(pools, names.Select(client.Client.GetPool));
        Assert.Equal(count + 1, client.Client.Pools.Count);
    }

    [Fact]
    public async Task Settings_that_one_ad_hoc_pool_cannot_take_change_none()
    {
        await using ClientHarness client = new("cache");
        client.Client.GetPool(new UnixDomainSocketEndPoint("/run/x.sock"));
        TcpPool device = client.Client.GetPool(ClientHarness.Device);
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
    public async Task GetPool_by_name_during_the_reload_that_adds_it_waits_for_it()
    {
        TcpPool? found = null;
        Exception? thrown = null;
        Thread? reader = null;
        await using ClientHarness client = new("cache");
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
        await using ClientHarness client = new();
        client.Apply("cache", static o => o.MinIdleConnections = 3);
        await PoolHarness.UntilAsync(() => client.Client.GetPool("cache").GetSnapshot().Idle == 3);
    }

    [Fact]
    public async Task A_reload_of_MaxClosing_reaches_the_lane()
    {
        await using ClientHarness client = new("cache");
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
        await PoolHarness.UntilAsync(
            () => string.Equals(client.Transports.Last().Moves, "farewell wait", StringComparison.Ordinal), () => client.Transports.Last().Moves);
        Assert.Equal(2, pool.GetSnapshot().Closing);
        foreach (FakeTransport transport in client.Transports)
        {
            transport.PeerCloses();
        }

        async Task ChurnAsync() => PoolHarness.Return(await ClientHarness.RentAsync(pool));

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
        await using ClientHarness client = new("cache", "gateway");
        TcpLease lease = await ClientHarness.RentAsync(client.Client.GetPool("cache"));
        PoolHarness.Return(await ClientHarness.RentAsync(client.Client.GetPool("gateway")));
        Configure(maxTotal: 1);
        await PoolHarness.UntilAsync(() => client.Client.GetPool("gateway").GetSnapshot() is { Idle: 0, Closing: 0 });
        Task<TcpLease> named = ClientHarness.RentAsync(client.Client.GetPool("gateway"));
        Task<TcpLease> adHoc = ClientHarness.RentAsync(client.Client.GetPool(new IPEndPoint(IPAddress.Loopback, 7)));
        Assert.False(named.IsCompleted);
        Assert.False(adHoc.IsCompleted);

        Configure(maxTotal: null);
        PoolHarness.Return(await named);
        PoolHarness.Return(await adHoc);
        PoolHarness.Return(lease);

        void Configure(int? maxTotal) => client.Apply("cache", static _ => { }, maxTotal: maxTotal);
    }
}
