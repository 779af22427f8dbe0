using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>What must hold on any RESP server, over any transport.</summary>
public abstract partial class RespBattery(RespServer server)
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    protected virtual RespServer Server => server;

    [Fact(Timeout = Limit)]
    public async Task A_value_comes_back_through_the_direct_calls()
    {
        await using PooledTcpClient client = Server.NewClient();
        TcpPool pool = client.GetPool("server");

        Assert.Equal("OK", (await pool.CommandAsync(Token, "SET", "direct", "value")).Text);
        Assert.Equal("value", (await pool.CommandAsync(Token, "GET", "direct")).Text);
        Assert.Null((await pool.CommandAsync(Token, "GET", "never-set")).Text);

        Assert.Equal(1, pool.GetSnapshot().Created);
        await KernelSockets.MatchAsync(pool, Server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task A_value_comes_back_through_the_stream()
    {
        await using PooledTcpClient client = Server.NewClient();
        TcpPool pool = client.GetPool("server");
        for (int i = 0; i < 3; i++)
        {
            await using TcpLease lease = await pool.RentAsync(Token);
            var reader = new RespReader(lease.Stream.ReadAsync);
            await lease.Stream.WriteAsync(RespReply.Command("SET", "stream", $"{i}"), Token);
            await lease.Stream.FlushAsync(Token);
            Assert.Equal("OK", (await reader.ReadAsync(Token)).Text);
            await lease.Stream.WriteAsync(RespReply.Command("GET", "stream"), Token);
            Assert.Equal($"{i}", (await reader.ReadAsync(Token)).Text);
            Assert.Equal(i > 0, lease.IsReused);
            lease.Complete();
        }

        Assert.Equal(1, pool.GetSnapshot().Created);
    }

    [Fact(Timeout = Limit)]
    public async Task A_value_comes_back_through_the_pipes()
    {
        await using PooledTcpClient client = Server.NewClient();
        TcpPool pool = client.GetPool("server");
        for (int i = 0; i < 3; i++)
        {
            await using TcpLease lease = await pool.RentAsync(Token);
            await lease.Output.WriteAsync(RespReply.Command("SET", "pipes", $"{i}"), Token);
            await lease.Output.WriteAsync(RespReply.Command("GET", "pipes"), Token);
            Assert.Equal("OK", (await RespReader.ReadAsync(lease.Input, Token)).Text);
            Assert.Equal($"{i}", (await RespReader.ReadAsync(lease.Input, Token)).Text);
            Assert.Equal(i > 0, lease.IsReused);
            lease.Complete();
        }

        Assert.Equal(1, pool.GetSnapshot().Created);
    }

    [Fact(Timeout = Limit)]
    public async Task A_hundred_commands_in_one_send_are_answered_in_order_and_the_connection_is_reused()
    {
        await using PooledTcpClient client = Server.NewClient();
        TcpPool pool = client.GetPool("server");
        byte[] commands = [.. Enumerable.Range(0, 100).SelectMany(static i => RespReply.Command("ECHO", $"reply {i}"))];
        for (int round = 0; round < 5; round++)
        {
            await using TcpLease lease = await pool.RentAsync(Token);
            await lease.SendAsync(commands, Token);
            var reader = new RespReader(lease.ReceiveAsync);
            for (int i = 0; i < 100; i++)
            {
                Assert.Equal($"reply {i}", (await reader.ReadAsync(Token)).Text);
            }

            Assert.Equal(0, reader.Unread);
            Assert.Equal(round > 0, lease.IsReused);
            lease.Complete();
        }

        Assert.Equal(1, pool.GetSnapshot().Created);
    }

    /// <summary>It lies in the pipe, in SslStream or in the kernel. Still on its way, nobody could see it.</summary>
    [Theory(Timeout = Limit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_reply_that_an_early_Complete_left_unread_is_never_the_next_callers(bool throughPipe)
    {
        await using PooledTcpClient client = Server.NewClient();
        TcpPool pool = client.GetPool("server");
        byte[] both = [.. RespReply.Command("ECHO", "mine"), .. RespReply.Command("ECHO", "left")];
        for (int i = 0; i < 10; i++)
        {
            await using (TcpLease lease = await pool.RentAsync(Token))
            {
                // One segment, so both replies come in one, too.
                await lease.SendAsync(both, Token);
                if (throughPipe)
                {
                    Assert.Equal("mine", (await RespReader.ReadAsync(lease.Input, Token)).Text);
                }
                else
                {
                    var reply = new byte["$4\r\nmine\r\n".Length];
                    await lease.Stream.ReadExactlyAsync(reply, Token);
                    Assert.Equal("$4\r\nmine\r\n"u8, reply);
                }

                lease.Complete(); // too early
            }

            Assert.Equal($"{i}", (await pool.CommandAsync(Token, "ECHO", $"{i}")).Text);
        }

        Assert.Equal(10, pool.GetSnapshot().ClosedByReason.Values.Sum());
    }

    [Fact(Timeout = Limit)]
    public async Task Ten_megabytes_go_both_ways_and_the_connection_is_reused()
    {
        await using PooledTcpClient client = Server.NewClient();
        TcpPool pool = client.GetPool("server");
        var value = new byte[10 * 1024 * 1024];
        new Random(1).NextBytes(value);

        RespReply stored = await pool.CommandAsync(RespReply.Command("SET"u8.ToArray(), "large"u8.ToArray(), value), Token);
        Assert.Equal("OK", stored.Text);
        Assert.True((await pool.CommandAsync(Token, "GET", "large")).Bytes.AsSpan().SequenceEqual(value));

        await using (TcpLease lease = await pool.RentAsync(Token))
        {
            await lease.Output.WriteAsync(RespReply.Command("GET", "large"), Token);
            RespReply reply = await RespReader.ReadAsync(lease.Input, Token);
            Assert.True(reply.Bytes.AsSpan().SequenceEqual(value));
            Assert.True(lease.BytesReceived > value.Length);
            lease.Complete();
        }

        await pool.CommandAsync(Token, "DEL", "large");
        Assert.Equal(1, pool.GetSnapshot().Created);
    }

    [Fact(Timeout = Limit)]
    public async Task Sixty_four_callers_over_eight_connections_each_get_their_own_replies()
    {
        await using PooledTcpClient client = Server.NewClient(static endpoint => endpoint.MaxConnections = 8);
        TcpPool pool = client.GetPool("server");
        await Task.WhenAll(Enumerable.Range(0, 64).Select(caller => Task.Run(async () =>
        {
            for (int i = 0; i < 50; i++)
            {
                string id = $"caller {caller} request {i}";
                Assert.Equal(id, (await pool.CommandAsync(Token, "ECHO", id)).Text);
            }
        })));

        TcpPoolSnapshot after = pool.GetSnapshot();
        Assert.InRange(after.Created, 1, 8);
        Assert.Empty(after.ClosedByReason);
        await KernelSockets.MatchAsync(pool, Server.Port);
    }
}
