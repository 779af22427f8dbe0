using System.Buffers;
using System.Text;
using CacheService.Cache;
using CacheService.Resp;
using PooledTcp.CacheServiceTests.Support;
using Xunit;

namespace PooledTcp.CacheServiceTests;

/// <summary>The typed gateway: on the embedded server, and on servers that misbehave.</summary>
public sealed class GatewayTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1013)]
    [InlineData(1014)]
    [InlineData(1 << 20)]
    public async Task Any_bytes_come_back_as_they_went(int length)
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync();
        byte[] value = new byte[length];
        new Random(length).NextBytes(value);

        await service.Gateway.SetAsync("k", new ReadOnlySequence<byte>(value), Patience.Token);
        using CacheValue? read = await service.Gateway.GetAsync("k", Patience.Token);

        Assert.Equal(value, read!.Bytes.ToArray());
        Assert.Equal(1, service.Pool.GetSnapshot().Created);
    }

    [Fact]
    public async Task Callers_side_by_side_get_their_own_values()
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync("--PooledTcp:Endpoints:cache:MaxConnections", "4");

        await Task.WhenAll(Enumerable.Range(0, 50).Select(async caller =>
        {
            byte[] value = Encoding.UTF8.GetBytes($"value of {caller}");
            for (int i = 0; i < 20; i++)
            {
                await service.Gateway.SetAsync($"k{caller}", new ReadOnlySequence<byte>(value), Patience.Token);
                using CacheValue? read = await service.Gateway.GetAsync($"k{caller}", Patience.Token);
                Assert.Equal(value, read!.Bytes.ToArray());
            }
        }));

        Assert.InRange(service.Pool.GetSnapshot().Created, 1, 4);
    }

    [Fact]
    public async Task Counters_count_and_what_is_no_counter_says_so()
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync();

        Assert.Equal(1, await service.Gateway.IncrementAsync("n", Patience.Token));
        Assert.Equal(2, await service.Gateway.IncrementAsync("n", Patience.Token));
        await service.Gateway.SetAsync("text", new ReadOnlySequence<byte>("no"u8.ToArray()), Patience.Token);
        RespErrorException error = await Assert.ThrowsAsync<RespErrorException>(async () => await service.Gateway.IncrementAsync("text", Patience.Token));

        Assert.True(error.IsNotANumber);
        Assert.Equal("ERR", error.Code);
        Assert.Null(await service.Gateway.GetAsync("absent", Patience.Token));
    }

    [Fact]
    public async Task An_error_reply_costs_no_connection()
    {
        using var server = new ScriptedServer("-OOM command not allowed\r\n");
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(server.Port);

        RespErrorException error = await Assert.ThrowsAsync<RespErrorException>(async () => await service.Gateway.PingAsync(Patience.Token));
        await service.Gateway.PingAsync(Patience.Token);

        Assert.Equal("OOM", error.Code);
        Assert.False(error.IsNotANumber);
        Assert.Equal(1, server.Connections);
    }

    [Theory]
    [InlineData("hello\r\n")]
    [InlineData("+OK\r\n+OK\r\n")]
    [InlineData("$3\r\nabcde")]
    public async Task What_is_out_of_step_costs_its_connection(string reply)
    {
        using var server = new ScriptedServer(reply);
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(server.Port);

        await Assert.ThrowsAsync<RespProtocolException>(async () => await service.Gateway.PingAsync(Patience.Token));
        await service.Gateway.PingAsync(Patience.Token);

        Assert.Equal(2, server.Connections);
    }

    [Fact]
    public async Task A_reply_of_another_kind_is_refused()
    {
        using var server = new ScriptedServer(":1\r\n", ":1\r\n", "+1\r\n", "$1\r\na\r\n");
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(server.Port);
        CacheGateway gateway = service.Gateway;

        await Assert.ThrowsAsync<RespProtocolException>(async () => await gateway.GetAsync("k", Patience.Token));
        await Assert.ThrowsAsync<RespProtocolException>(async () => await gateway.SetAsync("k", default, Patience.Token));
        await Assert.ThrowsAsync<RespProtocolException>(async () => await gateway.IncrementAsync("k", Patience.Token));
        await Assert.ThrowsAsync<RespProtocolException>(async () => await gateway.PingAsync(Patience.Token));

        Assert.Equal(4, server.Connections);
        Assert.Equal(4, server.Commands);
        await Patience.UntilAsync(() => Task.FromResult(service.Pool.GetSnapshot().Closed == 4));
        Assert.Equal(0, service.Pool.GetSnapshot().Idle);
    }

    [Fact]
    public async Task After_a_reply_of_another_kind_the_next_caller_gets_its_own()
    {
        using var server = new ScriptedServer("+PONG\r\n", $":1\r\n{ScriptedServer.Then}$5\r\nstale\r\n", "$4\r\nmine\r\n");
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(server.Port);
        await service.Gateway.PingAsync(Patience.Token);

        await Assert.ThrowsAsync<RespProtocolException>(async () => await service.Gateway.GetAsync("k", Patience.Token));
        using CacheValue? value = await service.Gateway.GetAsync("k", Patience.Token);

        Assert.Equal("mine"u8.ToArray(), value!.Bytes.ToArray());
        Assert.Equal(2, server.Connections);
    }

    [Fact]
    public async Task A_read_is_sent_again_when_a_reused_connection_breaks()
    {
        using var server = new ScriptedServer("+OK\r\n", ScriptedServer.Close, "$1\r\na\r\n");
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(server.Port);
        await service.Gateway.PingAsync(Patience.Token);

        using CacheValue? value = await service.Gateway.GetAsync("k", Patience.Token);

        Assert.Equal("a"u8.ToArray(), value!.Bytes.ToArray());
        Assert.Equal(3, server.Commands);
        Assert.Equal(1, service.Pool.GetSnapshot().Retries);
    }

    [Fact]
    public async Task A_count_is_never_sent_twice()
    {
        using var server = new ScriptedServer("+OK\r\n", ScriptedServer.Close);
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(server.Port);
        await service.Gateway.PingAsync(Patience.Token);

        await Assert.ThrowsAnyAsync<IOException>(async () => await service.Gateway.IncrementAsync("n", Patience.Token));

        Assert.Equal(2, server.Commands);
        Assert.Equal(0, service.Pool.GetSnapshot().Retries);
    }

    [Fact]
    public void A_value_is_given_back_once()
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(16);
        var value = new CacheValue(new RespReply(buffer, new RespFrame(RespKind.Bulk, 0, 1, 3)));

        value.Dispose();
        value.Dispose();

        Assert.Throws<ObjectDisposedException>(() => value.Bytes);
    }
}
