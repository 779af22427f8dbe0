using System.Net.Sockets;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>Probes on real sockets, plain and TLS: a server that answers keeps its connection, one that hangs does not.</summary>
public sealed class ProbeTests(GarnetTls garnet) : IClassFixture<GarnetTls>
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task A_server_that_hangs_loses_the_connection_and_the_next_rent_gets_another()
    {
        await using var server = new QuestionServer();
        await using PooledTcpClient client = NewClient(server, static health => health.ProbeTimeout = TimeSpan.FromSeconds(1));
        TcpPool pool = client.GetPool("server");
        await pool.WarmUpAsync(1, Token);

        // It accepts, and its kernel acknowledges; but nobody answers.
        server.Hangs = true;
        await Eventually.TrueAsync(() => pool.GetSnapshot() is { Closed: 1, Closing: 0 }, () => pool.GetSnapshot().ToString());
        Assert.Equal(1, pool.GetSnapshot().ClosedByReason["health_check_failed"]);
        Assert.Equal(1, pool.GetSnapshot().ClosedByMethod["abort"]);
        Assert.True(server.Questions > 0);

        server.Hangs = false;
        await using TcpLease lease = await pool.RentAsync(Token);
        Assert.False(lease.IsReused);
        lease.Complete();
    }

    [Fact(Timeout = Limit)]
    public async Task One_that_answers_keeps_it_probe_after_probe()
    {
        await using var server = new QuestionServer();
        await using PooledTcpClient client = NewClient(server, static health => health.ProbeTimeout = TimeSpan.FromMinutes(1));
        TcpPool pool = client.GetPool("server");
        await pool.WarmUpAsync(2, Token);
        await Eventually.TrueAsync(() => server.Questions >= 6, () => $"{server.Questions} {pool.GetSnapshot()}");
        Assert.Equal((2, 0, 0), (pool.GetSnapshot().Idle, pool.GetSnapshot().Used, (int)pool.GetSnapshot().Closed));
        Assert.Equal(2, server.Accepted);
    }

    [Fact(Timeout = Limit)]
    public async Task On_TLS_too()
    {
        await using PooledTcpClient client = garnet.NewClient(static endpoint =>
        {
            endpoint.Health.Probe = "redis";
            endpoint.Health.ProbeInterval = TimeSpan.FromSeconds(1);
            endpoint.Health.ProbeTimeout = TimeSpan.FromMinutes(1);
        });
        TcpPool pool = client.GetPool("server");
        long id;
        await using (TcpLease lease = await pool.RentAsync(Token))
        {
            await lease.SendAsync("PING\r\n"u8.ToArray(), Token);
            Assert.Equal(7, await lease.ReceiveAsync(new byte[16], Token));
            lease.Complete();
            id = lease.ConnectionId;
        }

        // About three probes. That none of them left anything behind shows in the exchange after them.
        await Task.Delay(TimeSpan.FromSeconds(4), Token);
        await using (TcpLease lease = await pool.RentAsync(Token))
        {
            Assert.Equal(id, lease.ConnectionId);
            await lease.SendAsync("PING\r\n"u8.ToArray(), Token);
            Assert.Equal(7, await lease.ReceiveAsync(new byte[16], Token));
            lease.Complete();
        }

        Assert.Equal(0, pool.GetSnapshot().Closed);
    }

    private static PooledTcpClient NewClient(QuestionServer server, Action<TcpHealthOptions> configure) =>
        new(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = server.Address;
            endpoint.Health.Probe = @"raw:?\r\n";
            endpoint.Health.ProbeReply = @"raw:!\r\n";
            endpoint.Health.ProbeInterval = TimeSpan.FromSeconds(1);
            configure(endpoint.Health);
        }));

    /// <summary>Answers each question, as long as it does not hang.</summary>
    private sealed class QuestionServer : LineServer
    {
        private int _questions;

        public bool Hangs { get; set; }

        public int Questions => Volatile.Read(ref _questions);

        protected override async Task ServeAsync(Socket client, CancellationToken cancellationToken)
        {
            byte[] buffer = new byte[64];
            while (await client.ReceiveAsync(buffer, cancellationToken) is > 0 and var read)
            {
                Interlocked.Add(ref _questions, buffer.AsSpan(0, read).Count((byte)'?'));
                if (!Hangs)
                {
                    await client.SendAsync("!\r\n"u8.ToArray(), cancellationToken);
                }
            }
        }
    }
}
