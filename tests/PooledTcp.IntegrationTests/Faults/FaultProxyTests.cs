using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>What a plain socket sees through the proxy: a fault that is really another one would prove nothing.</summary>
public sealed class FaultProxyTests : IAsyncLifetime
{
    private const int Limit = 60_000;

    // How long nothing must come before it counts as nothing.
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(150);

    private readonly EchoServer _server = new(new IPEndPoint(IPAddress.Loopback, 0));
    private readonly byte[] _buffer = new byte[256];
    private readonly FaultProxy _proxy;

    public FaultProxyTests() => _proxy = new FaultProxy(FreePort.Next(), new IPEndPoint(IPAddress.Loopback, _server.Port));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact(Timeout = Limit)]
    public async Task A_stall_keeps_the_connection_and_every_byte_until_it_is_healed()
    {
        using Socket client = await ConnectAsync();
        _proxy.Inject(Fault.Stall);
        await client.SendAsync("late"u8.ToArray(), Token);

        await NothingComesAsync(client);
        _proxy.Heal();

        Assert.Equal("late", await ReceiveAsync(client));
    }

    [Fact(Timeout = Limit)]
    public async Task A_stall_in_a_reply_lets_exactly_its_first_bytes_through()
    {
        using Socket client = await ConnectAsync();
        _proxy.Inject(Fault.Stall, trigger: FaultTrigger.InReply, replyBytes: 3);
        await client.SendAsync("reply"u8.ToArray(), Token);

        Assert.Equal("rep", await ReceiveAsync(client));
        await NothingComesAsync(client);
        _proxy.Heal();

        Assert.Equal("ly", await ReceiveAsync(client));
    }

    [Fact(Timeout = Limit)]
    public async Task A_stall_leaves_a_FIN_unanswered()
    {
        using Socket client = await ConnectAsync();
        _proxy.Inject(Fault.Stall, FaultScope.Live, FaultTrigger.AtClientFin);
        client.Shutdown(SocketShutdown.Send);

        await NothingComesAsync(client);
        _proxy.Heal();

        Assert.Empty(await ReceiveAsync(client));
    }

    [Fact(Timeout = Limit)]
    public async Task Dials_that_are_not_answered_are_not_refused_either()
    {
        await _proxy.StopAnsweringDialsAsync(Token);
        using (var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        using (var patience = new CancellationTokenSource(Quiet))
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                async () => await client.ConnectAsync(IPAddress.Loopback, _proxy.Port, patience.Token));
        }

        _proxy.Heal();

        using Socket healed = await ConnectAsync();
    }

    [Fact(Timeout = Limit)]
    public async Task A_drip_sends_one_byte_at_a_time()
    {
        using Socket client = await ConnectAsync();
        _proxy.Inject(Fault.Drip);
        var watch = Stopwatch.StartNew();
        await client.SendAsync("abcde"u8.ToArray(), Token);
        string all = string.Empty;
        while (all.Length < 5)
        {
            all += await ReceiveAsync(client);
        }

        // By the time it takes: who looks late finds several together.
        Assert.Equal("abcde", all);
        Assert.True(watch.Elapsed > 3 * FaultChannel.DripInterval, $"{watch.Elapsed}");
    }

    [Fact(Timeout = Limit)]
    public async Task A_cut_is_a_FIN()
    {
        using Socket client = await ConnectAsync();
        _proxy.Inject(Fault.Cut);

        Assert.Empty(await ReceiveAsync(client));
    }

    [Fact(Timeout = Limit)]
    public async Task A_cut_at_the_accept_is_a_FIN_too()
    {
        _proxy.Inject(Fault.Cut, FaultScope.Later);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, _proxy.Port, Token);

        Assert.Empty(await ReceiveAsync(client));
        await Task.Delay(Quiet, Token);
        Assert.False(client.Poll(0, SelectMode.SelectError)); // no RST after it
    }

    [Theory(Timeout = Limit)]
    [InlineData(Fault.Reset)]
    [InlineData(Fault.Refuse)]
    public async Task A_reset_is_an_RST(Fault fault)
    {
        using Socket client = await ConnectAsync();
        _proxy.Inject(fault);

        var error = await Assert.ThrowsAsync<SocketException>(() => ReceiveAsync(client));
        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
    }

    [Theory(Timeout = Limit)]
    [InlineData(Fault.Cut)]
    [InlineData(Fault.Reset)]
    [InlineData(Fault.HalfClose)]
    [InlineData(Fault.Stall)]
    public async Task A_fault_in_a_request_lets_nothing_of_it_through(Fault fault)
    {
        using Socket client = await ConnectAsync();
        _proxy.Inject(fault, FaultScope.Live, FaultTrigger.InRequest);
        await NothingComesAsync(client);
        await client.SendAsync("question"u8.ToArray(), Token);

        switch (fault)
        {
            case Fault.Reset:
                await Assert.ThrowsAsync<SocketException>(() => ReceiveAsync(client));
                break;
            case Fault.Stall:
                await NothingComesAsync(client);
                break;
            default:
                Assert.Empty(await ReceiveAsync(client));
                break;
        }
    }

    [Fact(Timeout = Limit)]
    public async Task What_refuses_listens_again_when_it_is_healed()
    {
        _proxy.Inject(Fault.Refuse);
        var error = await Assert.ThrowsAsync<SocketException>(ConnectAsync);
        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);

        _proxy.Heal();

        using Socket healed = await ConnectAsync();
    }

    [Fact(Timeout = Limit)]
    public async Task A_half_close_still_takes_what_is_sent()
    {
        using Socket client = await ConnectAsync();
        _proxy.Inject(Fault.HalfClose);
        Assert.Empty(await ReceiveAsync(client));

        await client.SendAsync("into the void"u8.ToArray(), Token);
        await Task.Delay(Quiet, Token);
        await client.SendAsync("and again"u8.ToArray(), Token); // EPIPE or ECONNRESET if the first had met an RST
        await Task.Delay(Quiet, Token);

        Assert.False(client.Poll(0, SelectMode.SelectError));
    }

    [Fact(Timeout = Limit)]
    public async Task Garbage_comes_unasked_and_then_for_every_request()
    {
        using Socket client = await ConnectAsync();
        _proxy.Inject(Fault.Garbage);
        Assert.Equal('\x80', (await ReceiveAsync(client))[0]);

        await client.SendAsync("question"u8.ToArray(), Token);

        Assert.Equal('\x80', (await ReceiveAsync(client))[0]);
    }

    [Fact(Timeout = Limit)]
    public async Task Silence_is_for_later_connections_too_and_ends_in_an_RST_when_it_is_healed()
    {
        _proxy.Inject(Fault.Silent, FaultScope.Later);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, _proxy.Port, Token);
        await client.SendAsync("anybody there?"u8.ToArray(), Token);
        await NothingComesAsync(client);

        _proxy.Heal();

        await Assert.ThrowsAsync<SocketException>(() => ReceiveAsync(client));
    }

    /// <summary>A connection through the proxy that has been used once.</summary>
    private async Task<Socket> ConnectAsync()
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, _proxy.Port, Token);
        await client.SendAsync("hello"u8.ToArray(), Token);
        Assert.Equal("hello", await ReceiveAsync(client));
        return client;
    }

    private async Task<string> ReceiveAsync(Socket client) => Encoding.Latin1.GetString(_buffer, 0, await client.ReceiveAsync(_buffer, Token));

    /// <summary>Neither a byte nor a FIN nor an RST.</summary>
    private static async Task NothingComesAsync(Socket client)
    {
        await Task.Delay(Quiet, Token);
        Assert.False(client.Poll(0, SelectMode.SelectRead));
    }
}
