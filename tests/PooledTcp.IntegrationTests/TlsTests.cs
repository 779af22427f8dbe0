using System.Security.Authentication;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>Who is trusted, and that TLS does not cost the reuse.</summary>
public sealed class TlsTests(GarnetTls server) : IClassFixture<GarnetTls>
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task A_self_signed_certificate_is_refused_by_default()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint => endpoint.Tls.RemoteCertificateValidationCallback = null);
        TcpPool pool = client.GetPool("server");

        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.CommandAsync(Token, "PING"));

        Assert.IsType<AuthenticationException>(error.InnerException);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task A_certificate_other_than_the_pinned_one_is_refused()
    {
        byte[] other = TestCertificates.Create(TestCertificates.ServerName).RawData;
        await using PooledTcpClient client = server.NewClient(endpoint =>
            endpoint.Tls.RemoteCertificateValidationCallback = (_, certificate, _, _) =>
                certificate!.GetRawCertData().AsSpan().SequenceEqual(other));
        TcpPool pool = client.GetPool("server");

        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.CommandAsync(Token, "PING"));

        Assert.IsType<AuthenticationException>(error.InnerException);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task Plain_bytes_to_a_TLS_port_break_the_connection()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint => endpoint.Tls.Enabled = false);
        TcpPool pool = client.GetPool("server");

        await Assert.ThrowsAnyAsync<IOException>(() => pool.CommandAsync(Token, "PING"));

        await KernelSockets.MatchAsync(pool, server.Port);
        Assert.Equal(0, pool.GetSnapshot().Idle);
    }

    /// <summary>The server waits for more of what looks like an odd command, so nothing but the budget ends the dial.</summary>
    [Fact(Timeout = Limit)]
    public async Task TLS_to_a_server_that_speaks_none_ends_with_the_connect_budget()
    {
        await using var plain = new GarnetEmbedded();
        await plain.StartAsync();
        await using PooledTcpClient client = plain.NewClient(static endpoint =>
        {
            endpoint.ConnectTimeout = TimeSpan.FromMilliseconds(300);
            endpoint.Tls.Enabled = true;
            endpoint.Tls.RemoteCertificateValidationCallback = GarnetTls.IsPinned;
        });
        TcpPool pool = client.GetPool("server");

        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.CommandAsync(Token, "PING"));

        Assert.IsType<TimeoutException>(error.InnerException);
        await KernelSockets.MatchAsync(pool, plain.Port);
    }

    /// <summary>Session tickets and key updates make clean TLS 1.3 sockets readable; that must condemn none of them.</summary>
    [Theory(Timeout = Limit)]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Thousands_of_requests_reuse_the_same_few_connections(SslProtocols protocol)
    {
        await using PooledTcpClient client = server.NewClient(endpoint =>
        {
            endpoint.MaxConnections = 4;
            endpoint.Tls.Protocols = protocol;
        });
        TcpPool pool = client.GetPool("server");

        // Warmed ones are lent without ever having been read: their tickets still lie in the socket.
        await pool.WarmUpAsync(4, Token);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(caller => Task.Run(async () =>
        {
            for (int i = 0; i < 300; i++)
            {
                string id = $"caller {caller} request {i}";
                Assert.Equal(id, (await pool.CommandAsync(Token, "ECHO", id)).Text);
            }
        })));

        TcpPoolSnapshot after = pool.GetSnapshot();
        Assert.Equal(4, after.Created);
        Assert.Empty(after.ClosedByReason);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task Two_identities_at_one_address_never_share_a_connection()
    {
        await using var identities = new IdentityServer();
        var options = new PooledTcpOptions();
        foreach (string name in (string[])["alice", "bob"])
        {
            options.AddEndpoint(name, endpoint =>
            {
                endpoint.Address = identities.Address;
                endpoint.Tls.Enabled = true;
                endpoint.Tls.TargetHost = TestCertificates.ServerName;
                endpoint.Tls.RemoteCertificateValidationCallback = GarnetTls.IsPinned;
                endpoint.Tls.ClientCertificates.Add(TestCertificates.Create(name));
            });
        }

        await using var client = new PooledTcpClient(options);
        for (int round = 0; round < 10; round++)
        {
            foreach (string name in (string[])["alice", "bob"])
            {
                Assert.Equal($"CN={name}", (await client.GetPool(name).CommandAsync(Token, "WHOAMI")).Text);
            }
        }

        Assert.All(client.Pools, static pool => Assert.Equal(1, pool.GetSnapshot().Created));
        Assert.Equal(2, identities.Accepted);
    }

    [Fact(Timeout = Limit)]
    public async Task A_server_that_wants_a_client_certificate_refuses_a_client_without_one()
    {
        await using var identities = new IdentityServer();
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("nobody", endpoint =>
        {
            endpoint.Address = identities.Address;
            endpoint.Tls.Enabled = true;
            endpoint.Tls.TargetHost = TestCertificates.ServerName;
            endpoint.Tls.RemoteCertificateValidationCallback = GarnetTls.IsPinned;
        }));

        // On TLS 1.3 the client's handshake ends before the server has looked, so the refusal may come with the first reply.
        await Assert.ThrowsAnyAsync<IOException>(() => client.GetPool("nobody").CommandAsync(Token, "WHOAMI"));
    }
}
