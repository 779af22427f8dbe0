using Microsoft.Extensions.DependencyInjection;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

public sealed class GarnetWithPassword : GarnetEmbedded
{
    public GarnetWithPassword() => Password = "secret";
}

/// <summary>AUTH by the handshake hook, and what becomes of a wrong password.</summary>
public sealed class HandshakeTests(GarnetWithPassword server) : IClassFixture<GarnetWithPassword>
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task The_server_refuses_commands_without_the_handshake()
    {
        await using PooledTcpClient client = server.NewClient();

        RespReply reply = await client.GetPool("server").CommandAsync(Token, "GET", "x");

        Assert.StartsWith("NOAUTH", reply.Text);
    }

    [Fact(Timeout = Limit)]
    public async Task A_handshake_set_on_the_options_authenticates_each_connection_once()
    {
        var auth = new RespAuth();
        await using PooledTcpClient client = server.NewClient(endpoint => endpoint.Handshake = auth);
        await AuthenticatesOncePerConnectionAsync(client.GetPool("server"), auth);
    }

    [Fact(Timeout = Limit)]
    public async Task A_handshake_registered_with_the_container_authenticates_each_connection_once()
    {
        var services = new ServiceCollection();
        services.AddSingleton<RespAuth>();
        services.AddPooledTcp().AddEndpoint("server", server.Configure).WithHandshake<RespAuth>();
        await using ServiceProvider provider = services.BuildServiceProvider();

        await AuthenticatesOncePerConnectionAsync(
            provider.GetRequiredKeyedService<TcpPool>("server"), provider.GetRequiredService<RespAuth>());
    }

    [Fact(Timeout = Limit)]
    public async Task A_wrong_password_is_the_callers_error_with_the_servers_words_and_the_right_one_recovers()
    {
        var auth = new RespAuth { Password = "wrong" };
        await using PooledTcpClient client = server.NewClient(endpoint =>
        {
            endpoint.MaxConnections = 4;
            endpoint.Handshake = auth;
            endpoint.Health.FailuresToOpen = 100; // so that each has a dial of its own
        });
        TcpPool pool = client.GetPool("server");

        // More callers than places: each gets the error of its own dial, none is stranded.
        Task<RespReply>[] rents = [.. Enumerable.Range(0, 12).Select(_ => pool.CommandAsync(Token, "GET", "x"))];
        foreach (Task<RespReply> rent in rents)
        {
            var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
            var cause = Assert.IsType<RespErrorException>(error.InnerException);
            Assert.StartsWith("WRONGPASS", cause.Message);
            Assert.Contains(cause.Message, error.Message, StringComparison.Ordinal);
            Assert.Equal("server", error.PoolName);
        }

        TcpPoolSnapshot failed = pool.GetSnapshot();
        Assert.Equal(0, failed.Created);
        Assert.Equal(12, failed.DialsFailed);
        Assert.IsType<RespErrorException>(failed.LastConnectError);
        await KernelSockets.MatchAsync(pool, server.Port);

        auth.Password = "secret";
        Assert.Equal("OK", (await pool.CommandAsync(Token, "SET", "x", "y")).Text);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task A_warm_up_fails_with_the_handshake()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint => endpoint.Handshake = new RespAuth { Password = "wrong" });
        TcpPool pool = client.GetPool("server");

        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.WarmUpAsync(3, Token));

        Assert.IsType<RespErrorException>(error.InnerException);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    private async Task AuthenticatesOncePerConnectionAsync(TcpPool pool, RespAuth auth)
    {
        for (int round = 0; round < 5; round++)
        {
            await using TcpLease first = await pool.RentAsync(Token);
            await using TcpLease second = await pool.RentAsync(Token);
            foreach (TcpLease lease in new[] { first, second })
            {
                Assert.Equal("PONG", (await lease.CommandAsync(Token, "PING")).Text);
                Assert.InRange(Assert.IsType<RespSession>(lease.Session).Number, 1, 2);
                lease.Complete();
            }

            Assert.NotSame(first.Session, second.Session);
        }

        Assert.Equal(2, auth.Handshakes);
        await KernelSockets.MatchAsync(pool, server.Port);
    }
}
