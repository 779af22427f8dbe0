using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>Ways to a server other than host and port, and servers that are not there.</summary>
public sealed class ConnectTests(GarnetEmbedded server) : IClassFixture<GarnetEmbedded>
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task A_connect_callback_goes_through_a_proxy()
    {
        await using var proxy = new ConnectProxy(new Dictionary<string, int> { ["cache.invalid:6379"] = server.Port });
        var services = new ServiceCollection();
        services.AddPooledTcp()
            .AddEndpoint("cache", static endpoint => endpoint.Address = "cache.invalid:6379")
            .WithConnectCallback(proxy.ConnectAsync);
        await using ServiceProvider provider = services.BuildServiceProvider();
        TcpPool pool = provider.GetRequiredKeyedService<TcpPool>("cache");

        for (int i = 0; i < 20; i++)
        {
            Assert.Equal($"{i}", (await pool.CommandAsync(Token, "ECHO", $"{i}")).Text);
        }

        Assert.Equal(1, proxy.Accepted);
        await KernelSockets.MatchAsync(pool, proxy.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task What_the_callback_throws_is_the_cause()
    {
        await using var proxy = new ConnectProxy(new Dictionary<string, int>());
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("cache", endpoint =>
        {
            endpoint.Address = "cache.invalid:6379";
            endpoint.ConnectCallback = proxy.ConnectAsync;
        }));

        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => client.GetPool("cache").CommandAsync(Token, "PING"));

        Assert.Contains("502", Assert.IsType<HttpRequestException>(error.InnerException).Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = Limit)]
    public async Task A_refused_connection_fails_the_rent_at_once()
    {
        int port = FreePort.Next();
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("nobody", endpoint =>
        {
            endpoint.Address = $"127.0.0.1:{port}";
            endpoint.RentTimeout = TimeSpan.FromMinutes(10);
            endpoint.ConnectTimeout = TimeSpan.FromMinutes(5);
        }));
        TcpPool pool = client.GetPool("nobody");
        var watch = Stopwatch.StartNew();

        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(async () => await pool.RentAsync(Token));

        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
        Assert.Contains($"127.0.0.1:{port}", error.Message, StringComparison.Ordinal);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(30));
        await KernelSockets.MatchAsync(pool, port);
    }

    [Fact(Timeout = Limit)]
    public async Task A_host_name_is_resolved()
    {
        await using PooledTcpClient client = server.NewClient(endpoint => endpoint.Address = $"localhost:{server.Port}");

        Assert.Equal("PONG", (await client.GetPool("server").CommandAsync(Token, "PING")).Text);
    }

    [Fact(Timeout = Limit)]
    public async Task Ad_hoc_endpoints_and_their_partitions_have_pools_of_their_own()
    {
        await using var client = new PooledTcpClient(new PooledTcpOptions());
        var endPoint = new IPEndPoint(IPAddress.Loopback, server.Port);
        TcpPool[] pools = [client.GetPool(endPoint), client.GetPool(endPoint, "tenant a"), client.GetPool(endPoint, "tenant b")];
        for (int round = 0; round < 5; round++)
        {
            foreach (TcpPool pool in pools)
            {
                Assert.Equal("PONG", (await pool.CommandAsync(Token, "PING")).Text);
            }
        }

        Assert.Equal(3, pools.Distinct().Count());
        Assert.Same(pools[0], client.GetPool(new IPEndPoint(IPAddress.Loopback, server.Port)));
        Assert.All(pools, static pool => Assert.Equal(1, pool.GetSnapshot().Created));
    }

    [Fact(Timeout = Limit)]
    public async Task A_unix_socket_serves_like_any_other()
    {
        SkipWithoutUnixSockets();
        using var folder = new TempFolder();
        await using var echo = new EchoServer(new UnixDomainSocketEndPoint(folder.File("echo")));
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint(
            "echo", endpoint => endpoint.Address = $"unix:{folder.File("echo")}"));
        TcpPool pool = client.GetPool("echo");
        var reply = new byte[8];
        for (int i = 0; i < 50; i++)
        {
            await using TcpLease lease = await pool.RentAsync(Token);
            byte[] request = BitConverter.GetBytes((long)i);
            await lease.SendAsync(request, Token);
            await lease.Stream.ReadExactlyAsync(reply, Token);
            Assert.Equal(request, reply);
            lease.Complete();
        }

        Assert.Equal(1, echo.Accepted);

        // Stray bytes and the peer's end show on it, too.
        await using (TcpLease lease = await pool.RentAsync(Token))
        {
            // In one piece, so that the echo of both has arrived when its first half has.
            await lease.SendAsync("mine+stray"u8.ToArray(), Token);
            await lease.Stream.ReadExactlyAsync(reply.AsMemory(0, 4), Token);
            lease.Complete();
        }

        await using (TcpLease lease = await pool.RentAsync(Token))
        {
            await lease.SendAsync("next"u8.ToArray(), Token);
            await lease.Stream.ReadExactlyAsync(reply.AsMemory(0, 4), Token);
            Assert.Equal("next"u8, reply.AsSpan(0, 4));
            lease.Complete();
        }
    }

    [Fact(Timeout = Limit)]
    public async Task Garnet_serves_over_a_unix_socket()
    {
        SkipWithoutUnixSockets();
        using var folder = new TempFolder();
        await using var garnet = new GarnetEmbedded { UnixPath = folder.File("garnet") };
        await garnet.StartAsync();
        await using PooledTcpClient client = garnet.NewClient(endpoint =>
        {
            endpoint.Address = $"unix:{folder.File("garnet")}";
            endpoint.MaxConnections = 4;
        });
        TcpPool pool = client.GetPool("server");
        await Task.WhenAll(Enumerable.Range(0, 16).Select(caller => Task.Run(async () =>
        {
            for (int i = 0; i < 50; i++)
            {
                string id = $"caller {caller} request {i}";
                Assert.Equal(id, (await pool.CommandAsync(Token, "ECHO", id)).Text);
            }
        })));

        Assert.InRange(pool.GetSnapshot().Created, 1, 4);
        Assert.Empty(pool.GetSnapshot().ClosedByReason);
    }

    private static void SkipWithoutUnixSockets()
    {
        if (!Socket.OSSupportsUnixDomainSockets)
        {
            Assert.Skip("This system has no unix sockets.");
        }
    }
}
