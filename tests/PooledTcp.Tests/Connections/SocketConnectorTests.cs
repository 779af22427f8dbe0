using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

public sealed class SocketConnectorTests
{
    private static readonly SocketConnector Connector = new("cache", connectCallback: null, TestSettings.Ports);

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("localhost")]
    public async Task Dials_a_literal_or_a_name_in_the_addresses_own_family(string host)
    {
        using Socket listener = LoopbackSockets.Listen();
        Transport client = await Connector.ConnectAsync(TestSettings.For(host, LoopbackSockets.PortOf(listener)), LoopbackSockets.Deadline());
        using Socket server = await listener.AcceptAsync(LoopbackSockets.Deadline());

        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
        Assert.Equal(server.RemoteEndPoint, client.LocalEndPoint);
        await RoundTripAsync(client, server);
        client.Close();
    }

    [Fact]
    public async Task Dials_ipv6_literals_with_ipv6_sockets()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "IPv6 is off on this machine");
        using var listener = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        }
        catch (SocketException)
        {
            Assert.Skip("This machine has no ::1");
        }

        listener.Listen();
        Transport client = await Connector.ConnectAsync(TestSettings.For("::1", LoopbackSockets.PortOf(listener)), LoopbackSockets.Deadline());
        using Socket server = await listener.AcceptAsync(LoopbackSockets.Deadline());
        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
        await RoundTripAsync(client, server);
        client.Close();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Dials_unix_sockets_which_have_none_of_the_tcp_options(bool isAbstract)
    {
        Assert.SkipUnless(Socket.OSSupportsUnixDomainSockets, "no unix sockets here");
        Assert.SkipUnless(OperatingSystem.IsLinux() || !isAbstract, "abstract names are Linux's");
        string name = $"pooledtcp-{Guid.NewGuid():N}";
        EndpointAddress address = EndpointAddress.Parse(isAbstract ? $"unix:@{name}" : $"unix:{Path.Combine(Path.GetTempPath(), name)}");
        try
        {
            using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            listener.Bind(address.ToEndPoint());
            listener.Listen();
            Transport client = await Connector.ConnectAsync(TestSettings.For(address.Host, 0, isUnix: true), LoopbackSockets.Deadline());
            using Socket server = await listener.AcceptAsync(LoopbackSockets.Deadline());

            Assert.Equal(address.Host, client.RemoteEndPoint!.ToString());
            await RoundTripAsync(client, server);
            Assert.Equal(IdleVerdict.Clean, client.CheckIdle());
            Assert.False(client.PeerClosed);

            server.Shutdown(SocketShutdown.Both);
            Assert.True(client.PeerClosed);
            Assert.Equal(IdleVerdict.PeerClosed, client.CheckIdle());
            client.Close();
        }
        finally
        {
            File.Delete(address.Host);
        }
    }

    [Fact]
    public async Task Sets_the_configured_options_as_the_kernel_reports_them()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads Linux option numbers");
        var (connector, socketOf) = CapturingConnector(nextRandom: static () => 0);
        var settings = new SocketSettings(
            NoDelay: true, TimeSpan.FromSeconds(21), TimeSpan.FromMilliseconds(6_500), KeepAliveCount: 4, TimeSpan.FromMilliseconds(61_500));
        using Socket listener = LoopbackSockets.Listen();
        Transport client = await connector.ConnectAsync(
            TestSettings.For("127.0.0.1", LoopbackSockets.PortOf(listener), socket: settings), LoopbackSockets.Deadline());

        Socket socket = socketOf();
        Assert.Equal(1, RawOption(socket, level: 1, option: 9));
        Assert.Equal(21, RawOption(socket, level: 6, option: 4));
        Assert.Equal(7, RawOption(socket, level: 6, option: 5));
        Assert.Equal(4, RawOption(socket, level: 6, option: 6));
        Assert.Equal(61_500, RawOption(socket, level: 6, option: 18));
        Assert.Equal(1, RawOption(socket, level: 6, option: 1));
        client.Close();
    }

    /// <summary>Or all connections that were used together are asked in one tick, more than the kernel's backlog takes.</summary>
    [Fact]
    public async Task Each_connection_draws_its_own_keepalive_idle_time()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads Linux option numbers");
        Queue<double> draws = new([0, 0.5, 0.999]);
        var (connector, socketOf) = CapturingConnector(draws.Dequeue);
        using Socket listener = LoopbackSockets.Listen();
        List<int> seconds = [];
        while (draws.Count > 0)
        {
            Transport client = await connector.ConnectAsync(
                TestSettings.For("127.0.0.1", LoopbackSockets.PortOf(listener)), LoopbackSockets.Deadline());
            using Socket server = await listener.AcceptAsync(LoopbackSockets.Deadline());
            seconds.Add(RawOption(socketOf(), level: 6, option: 4));
            client.Close();
        }

        Assert.Equal([20, 15, 10], seconds);
    }

    [Fact]
    public async Task Connections_of_a_pool_differ_in_their_keepalive_idle_time()
    {
        const int Connections = 50;
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads Linux option numbers");
        var (connector, socketOf) = CapturingConnector();
        using Socket listener = LoopbackSockets.Listen();
        HashSet<int> seconds = [];
        for (int i = 0; i < Connections; i++)
        {
            Transport client = await connector.ConnectAsync(
                TestSettings.For("127.0.0.1", LoopbackSockets.PortOf(listener)), LoopbackSockets.Deadline());
            using Socket server = await listener.AcceptAsync(LoopbackSockets.Deadline());
            seconds.Add(RawOption(socketOf(), level: 6, option: 4));
            client.Close();
        }

        // All alike by chance: once in 11^49 runs.
        Assert.InRange(seconds.Count, 2, 11);
        Assert.All(seconds, static drawn => Assert.InRange(drawn, 10, 20));
    }

    [Fact]
    public async Task No_delay_can_be_off()
    {
        var (connector, socketOf) = CapturingConnector();
        using Socket listener = LoopbackSockets.Listen();
        Transport client = await connector.ConnectAsync(
            TestSettings.For("127.0.0.1", LoopbackSockets.PortOf(listener), socket: TestSettings.Socket with { NoDelay = false }),
            LoopbackSockets.Deadline());
        Assert.False(socketOf().NoDelay);
        client.Close();
    }

    [Fact]
    public async Task A_refused_connect_says_so_and_leaves_nothing_open()
    {
        int port;
        using (Socket closed = LoopbackSockets.Listen())
        {
            port = LoopbackSockets.PortOf(closed);
        }

        await AssertNoSocketLeftAsync(async () =>
        {
            var error = await Assert.ThrowsAsync<SocketException>(
                () => Connector.ConnectAsync(TestSettings.For("127.0.0.1", port), LoopbackSockets.Deadline()).AsTask());
            Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
        });
    }

    [Fact]
    public async Task A_cancelled_connect_says_so_and_leaves_nothing_open()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "relies on a full accept queue dropping the SYN");
        using Socket listener = LoopbackSockets.Listen(backlog: 0);
        int port = LoopbackSockets.PortOf(listener);
        using var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await filler.ConnectAsync(listener.LocalEndPoint!, LoopbackSockets.Deadline());

        await AssertNoSocketLeftAsync(async () =>
        {
            using var cancellation = new CancellationTokenSource();
            Task<Transport> connect = Connector.ConnectAsync(TestSettings.For("127.0.0.1", port), cancellation.Token).AsTask();
            Assert.False(connect.IsCompleted);
            await cancellation.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connect);
        });
    }

    [Fact]
    public async Task A_token_cancelled_beforehand_dials_nothing()
    {
        var connector = new SocketConnector("cache", (_, _) => throw new InvalidOperationException("dialed"), TestSettings.Ports);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => connector.ConnectAsync(TestSettings.For("127.0.0.1", 1), new CancellationToken(canceled: true)).AsTask());
    }

    [Fact]
    public async Task A_missing_unix_socket_is_a_socket_error()
    {
        Assert.SkipUnless(Socket.OSSupportsUnixDomainSockets, "no unix sockets here");
        await Assert.ThrowsAsync<SocketException>(
            () => Connector.ConnectAsync(TestSettings.For("/nowhere/at-all.sock", 0, isUnix: true), LoopbackSockets.Deadline()).AsTask());
    }

    [Fact]
    public async Task The_connect_callback_replaces_the_dial()
    {
        TcpConnectContext? seen = null;
        (Socket prepared, Socket server) = await LoopbackSockets.ConnectAsync();
        var connector = new SocketConnector("cache", (context, _) =>
        {
            seen = context;
            return new ValueTask<Socket>(prepared);
        }, TestSettings.Ports);

        Transport client = await connector.ConnectAsync(TestSettings.For("far.away", 6379), LoopbackSockets.Deadline());

        Assert.Equal("cache", seen!.PoolName);
        Assert.Equal(new DnsEndPoint("far.away", 6379), seen.EndPoint);
        await RoundTripAsync(client, server);
        client.Close();
    }

    [Fact]
    public async Task A_connect_callback_that_returns_no_connected_stream_is_told_so()
    {
        await AssertRefusedAsync(null, "returned null");
        await AssertRefusedAsync(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp), "not connected");
        await AssertRefusedAsync(new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp), "datagram");

        static async Task AssertRefusedAsync(Socket? socket, string because)
        {
            var connector = new SocketConnector("cache", (_, _) => new ValueTask<Socket>(socket!), TestSettings.Ports);
            var error = await Assert.ThrowsAsync<InvalidOperationException>(
                () => connector.ConnectAsync(TestSettings.For("127.0.0.1", 1), LoopbackSockets.Deadline()).AsTask());
            Assert.Contains(because, error.Message, StringComparison.Ordinal);
            Assert.Contains("'cache'", error.Message, StringComparison.Ordinal);
            Assert.True(socket is null || socket.SafeHandle.IsClosed);
        }
    }

    private static (SocketConnector Connector, Func<Socket> Socket) CapturingConnector(Func<double>? nextRandom = null)
    {
        Socket? captured = null;
        var connector = new SocketConnector("cache", async (context, cancellationToken) =>
        {
            captured = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await captured.ConnectAsync(context.EndPoint, cancellationToken);
            return captured;
        }, TestSettings.Ports, nextRandom: nextRandom);
        return (connector, () => captured!);
    }

    private static int RawOption(Socket socket, int level, int option)
    {
        byte[] value = new byte[sizeof(int)];
        socket.GetRawSocketOption(level, option, value);
        return BitConverter.ToInt32(value);
    }

    private static async Task RoundTripAsync(Transport client, Socket server)
    {
        await client.SendAsync(new byte[] { 1, 2, 3 }, LoopbackSockets.Deadline());
        byte[] buffer = new byte[8];
        int received = await server.ReceiveAsync(buffer, LoopbackSockets.Deadline());
        await server.SendAsync(buffer.AsMemory(0, received), LoopbackSockets.Deadline());
        Assert.Equal(3, await client.ReceiveAsync(buffer, LoopbackSockets.Deadline()));
    }

    /// <summary>Two hundred times, so that the sockets of tests that run beside this one do not matter.</summary>
    private static async Task AssertNoSocketLeftAsync(Func<Task> failToConnect)
    {
        const int Times = 200;
        int before = OpenSockets();
        for (int i = 0; i < Times; i++)
        {
            await failToConnect();
        }

        Assert.InRange(OpenSockets() - before, -Times, Times / 2);
    }

    private static int OpenSockets() => !Directory.Exists("/proc/self/fd")
        ? 0
        : Directory.EnumerateFiles("/proc/self/fd").Count(static descriptor =>
        {
            try
            {
                return File.ResolveLinkTarget(descriptor, returnFinalTarget: false)?.Name.StartsWith("socket:", StringComparison.Ordinal) == true;
            }
            catch (IOException)
            {
                return false;
            }
        });
}
