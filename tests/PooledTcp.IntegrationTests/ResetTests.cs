using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>The reset hook against state that a real server keeps per connection: the selected database.</summary>
public sealed class ResetTests(GarnetEmbedded server) : IClassFixture<GarnetEmbedded>
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory(Timeout = Limit)]
    [InlineData(false, "in 1")]
    [InlineData(true, null)]
    public async Task The_next_caller_sees_the_database_of_the_last_one_unless_the_hook_resets_it(bool reset, string? seen)
    {
        await using PooledTcpClient client = server.NewClient(endpoint =>
        {
            endpoint.MaxConnections = 1;
            endpoint.Reset = reset ? new RespSelectZero() : null;
        });
        TcpPool pool = client.GetPool("server");
        await using (TcpLease lease = await pool.RentAsync(Token))
        {
            Assert.Equal("OK", (await lease.CommandAsync(Token, "SELECT", "1")).Text);
            Assert.Equal("OK", (await lease.CommandAsync(Token, "SET", "where", "in 1")).Text);
            lease.Complete();
        }

        await using (TcpLease next = await pool.RentAsync(Token))
        {
            Assert.True(next.IsReused);
            Assert.Equal(seen, (await next.CommandAsync(Token, "GET", "where")).Text);
            next.Complete();
        }

        Assert.Equal(1, pool.GetSnapshot().Created);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task A_reset_that_fails_closes_the_connection_and_no_caller_sees_it()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint =>
        {
            endpoint.MaxConnections = 1;
            endpoint.Reset = new FailingReset();
        });
        TcpPool pool = client.GetPool("server");
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal("PONG", (await pool.CommandAsync(Token, "PING")).Text);
        }

        await KernelSockets.MatchAsync(pool, server.Port);
        Assert.Equal(5, pool.GetSnapshot().Created);
        Assert.Equal(5, pool.GetSnapshot().ClosedByReason["health_check_failed"]);
    }

    [Fact(Timeout = Limit)]
    public async Task Sixteen_callers_share_four_connections_that_are_reset_each_time()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint =>
        {
            endpoint.MaxConnections = 4;
            endpoint.Reset = new RespSelectZero();
        });
        TcpPool pool = client.GetPool("server");
        await Task.WhenAll(Enumerable.Range(0, 16).Select(caller => Task.Run(async () =>
        {
            for (int i = 0; i < 50; i++)
            {
                await using TcpLease lease = await pool.RentAsync(Token);
                Assert.Null((await lease.CommandAsync(Token, "GET", "only in 2")).Text);
                await lease.CommandAsync(Token, "SELECT", "2");
                Assert.Equal("OK", (await lease.CommandAsync(Token, "SET", "only in 2", $"{caller}")).Text);
                lease.Complete();
            }
        })));

        Assert.InRange(pool.GetSnapshot().Created, 1, 4);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    private sealed class FailingReset : ITcpReset
    {
        public async ValueTask ResetAsync(TcpLease connection, CancellationToken cancellationToken)
        {
            RespReply reply = await connection.CommandAsync(cancellationToken, "SELECT", "no number");
            Assert.True(reply.IsError);
            throw new RespErrorException(reply.Text!);
        }
    }
}
