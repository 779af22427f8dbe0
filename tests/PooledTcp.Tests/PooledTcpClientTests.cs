using System.Net;
using System.Net.Sockets;
using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>Keys and pools: which rents share connections, and how pools that nobody uses come and go.</summary>
public sealed class PooledTcpClientTests
{
    [Fact]
    public async Task A_configured_name_is_found_whatever_its_case_and_an_unknown_one_is_named()
    {
        await using ClientHarness client = new("cache", "gateway");
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
        await using ClientHarness client = new("cache");
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
            TcpLease lease = await ClientHarness.RentAsync(pool);
            Assert.True(ids.Add(lease.ConnectionId));
            PoolHarness.Return(lease);
        }

        foreach (TcpPool pool in pools)
        {
            TcpLease lease = await ClientHarness.RentAsync(pool);
            Assert.False(ids.Add(lease.ConnectionId));
            Assert.Equal(1, pool.GetSnapshot().Created);
            lease.Dispose();
        }

        Assert.Equal(pools.Length, pools.Select(static p => p.Name).Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public async Task Several_spellings_of_one_address_are_one_key()
    {
        await using ClientHarness client = new();
        TcpPool pool = client.Client.GetPool(ClientHarness.Device);
        Assert.Same(pool, client.Client.GetPool(new IPEndPoint(ClientHarness.Device.Address.MapToIPv6(), 502)));
        Assert.Same(pool, client.Client.GetPool(new DnsEndPoint("10.1.2.3", 502)));
        Assert.Same(
            client.Client.GetPool(new DnsEndPoint("Device.Example", 502)), client.Client.GetPool(new DnsEndPoint("device.example", 502)));
        Assert.Same(
            client.Client.GetPool(new DnsEndPoint("2001:db8:0::1", 502)), client.Client.GetPool(IPEndPoint.Parse("[2001:db8::1]:502")));
        Assert.Equal("10.1.2.3:502", pool.Name);
        Assert.Equal("10.1.2.3:502#blue", client.Client.GetPool(ClientHarness.Device, "blue").Name);
        PoolHarness.Return(await client.Client.RentAsync(ClientHarness.Device, CancellationToken.None));
        Assert.Equal(1, pool.GetSnapshot().Idle);
    }

    [Fact]
    public async Task Finding_a_pool_by_its_usual_spelling_allocates_nothing()
    {
        await using ClientHarness client = new("cache");
        DnsEndPoint host = new("device.example", 502);
        IPEndPoint v6 = IPEndPoint.Parse("[2001:db8::1]:502");

        // The first run makes the pools, and code that the JIT has not optimized yet boxes values: so until a run is without.
        await PoolHarness.UntilAsync(() => BytesOf(client.Client) == 0);

        long BytesOf(PooledTcpClient c)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 100; i++)
            {
                c.GetPool("CACHE");
                c.GetPool(ClientHarness.Device);
                c.GetPool(ClientHarness.Device, "blue");
                c.GetPool(v6);
                c.GetPool(host);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public async Task The_client_rents_by_name()
    {
        await using ClientHarness client = new("cache");
        PoolHarness.Return(await client.Client.RentAsync("cache", CancellationToken.None));
        Assert.Equal(1, client.Client.GetPool("cache").GetSnapshot().Idle);
    }

    [Fact]
    public async Task An_unused_ad_hoc_pool_removes_itself_and_its_handle_stays_valid()
    {
        await using ClientHarness client = new("cache");
        TcpPool handle = client.Client.GetPool(ClientHarness.Device);
        PoolHarness.Return(await ClientHarness.RentAsync(handle));
        Assert.Equal(2, client.Client.Pools.Count);
        await client.StepUntilAsync(() => client.Client.Pools.Count == 1);
        await client.StepUntilAsync(() => client.Time.ArmedTimers == 0);

        TcpLease lease = await ClientHarness.RentAsync(handle);
        Assert.Equal(2, client.Client.Pools.Count);
        Assert.Same(client.Client.GetPool(ClientHarness.Device).Core, handle.Core);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task One_that_was_asked_for_and_never_used_goes_too()
    {
        await using ClientHarness client = new();
        client.Client.GetPool(ClientHarness.Device);
        await client.StepUntilAsync(() => client.Client.Pools.Count == 0);
    }

    [Fact]
    public async Task An_old_handle_finds_the_successor_in_everything_it_does()
    {
        await using ClientHarness client = new();
        TcpPool TakeOld() => client.Client.GetPool(ClientHarness.Device);
        TcpPool[] old = [.. Enumerable.Range(0, 6).Select(_ => TakeOld())];
        Assert.Single(old.Distinct());
        TcpPool forRent = old[0];
        await client.StepUntilAsync(() => client.Client.Pools.Count == 0);

        TcpPool current = client.Client.GetPool(ClientHarness.Device);
        Assert.NotSame(forRent, current);
        PoolHarness.Return(await ClientHarness.RentAsync(current));
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
        await using ClientHarness client = new();
        TcpPool old = client.Client.GetPool(ClientHarness.Device);
        await client.StepUntilAsync(() => client.Client.Pools.Count == 0);
        TcpPool current = client.Client.GetPool(ClientHarness.Device);
        PoolHarness.Return(await ClientHarness.RentAsync(current));
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
                Assert.True((await ClientHarness.RentAsync(old)).IsReused);
                break;
        }
    }

    [Fact]
    public async Task Hooks_belong_to_their_endpoint()
    {
        await using ClientHarness client = new(
            new Dictionary<string, EndpointHooks> { ["cache"] = new EndpointHooks { Handshake = static (_, _) => ValueTask.FromResult<object?>("hello") } }, "cache", "gateway");
        Assert.Equal("hello", (await ClientHarness.RentAsync(client.Client.GetPool("cache"))).Session);
        Assert.Null((await ClientHarness.RentAsync(client.Client.GetPool("gateway"))).Session);
        Assert.Null((await ClientHarness.RentAsync(client.Client.GetPool(ClientHarness.Device))).Session);
    }
}
