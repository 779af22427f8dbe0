using System.Net;
using System.Net.Sockets;
using PooledTcp.Connections;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.Tests.Connections;

public sealed class SocketTransportTests
{
    [Fact]
    public async Task Sends_all_of_a_buffer_larger_than_the_kernels()
    {
        var (client, _, server) = await ConnectAsync();
        byte[] sent = new byte[8 * 1024 * 1024];
        new Random(1).NextBytes(sent);

        ValueTask send = client.SendAsync(sent, LoopbackSockets.Deadline());
        Assert.False(send.IsCompleted);

        byte[] received = new byte[sent.Length];
        for (int total = 0; total < received.Length;)
        {
            total += await server.ReceiveAsync(received.AsMemory(total), LoopbackSockets.Deadline());
        }

        await send;
        Assert.Equal(sent, received);
        client.Close();
    }

    [Fact]
    public async Task Receives_what_came_and_zero_at_the_end()
    {
        var (client, _, server) = await ConnectAsync();
        await server.SendAsync(new byte[] { 1, 2, 3 }, LoopbackSockets.Deadline());
        byte[] buffer = new byte[8];
        Assert.Equal(3, await client.ReceiveAsync(buffer, LoopbackSockets.Deadline()));

        server.Close();
        Assert.Equal(0, await client.ReceiveAsync(buffer, LoopbackSockets.Deadline()));
        client.Close();
    }

    [Fact]
    public async Task A_live_idle_connection_is_clean()
    {
        var (client, _, server) = await ConnectAsync();
        Assert.True(client.TryPark());
        Assert.Equal(IdleVerdict.Clean, client.CheckIdle());
        Assert.False(client.PeerClosed);
        client.Close();
        server.Close();
    }

    [Fact]
    public async Task A_fin_while_idle_is_the_peers_close()
    {
        var (client, socket, server) = await ConnectAsync();
        server.Shutdown(SocketShutdown.Send);
        await LoopbackSockets.UntilReadable(socket);
        Assert.Equal(IdleVerdict.PeerClosed, client.CheckIdle());
        Assert.True(client.PeerClosed);
        client.Close();
        server.Close();
    }

    [Fact]
    public async Task An_rst_while_idle_is_the_peers_close_too()
    {
        var (client, socket, server) = await ConnectAsync();
        LoopbackSockets.Reset(server);
        await LoopbackSockets.UntilReadable(socket);
        Assert.True(client.PeerClosed);
        Assert.Equal(IdleVerdict.Reset, client.CheckIdle());
        client.Close();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stray_bytes_while_idle_are_unread_bytes_even_in_front_of_a_fin(bool thenFin)
    {
        // How else the test could tell that the FIN is there, behind the bytes, is what TCP_INFO is for.
        AbilitiesOff.SkipIf(thenFin);
        var (client, socket, server) = await ConnectAsync();
        await server.SendAsync(new byte[] { 1 }, LoopbackSockets.Deadline());
        if (thenFin)
        {
            server.Shutdown(SocketShutdown.Send);
            await LoopbackSockets.Until(() => client.PeerClosed);
        }

        await LoopbackSockets.UntilReadable(socket);
        Assert.Equal(IdleVerdict.UnreadBytes, client.CheckIdle());
        Assert.Equal(1, socket.Available);
        Assert.Equal(thenFin, client.PeerClosed);
        client.Close();
        server.Close();
    }

    [Fact]
    public async Task Peer_closed_does_not_consume_the_reset()
    {
        var (client, socket, server) = await ConnectAsync();
        LoopbackSockets.Reset(server);
        await LoopbackSockets.UntilReadable(socket);
        Assert.True(client.PeerClosed);

        var error = await Assert.ThrowsAsync<SocketException>(() => client.ReceiveAsync(new byte[1], LoopbackSockets.Deadline()).AsTask());
        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
        client.Close();
    }

    /// <summary>tcp-facts section 2, first row: Dispose alone would send an RST here.</summary>
    [Fact]
    public async Task Close_with_a_receive_pending_sends_fin()
    {
        var (client, _, server) = await ConnectAsync();
        ValueTask<int> pending = client.ReceiveAsync(new byte[16], LoopbackSockets.Deadline());
        Assert.False(pending.IsCompleted);

        client.Close();

        Assert.Equal(0, await server.ReceiveAsync(new byte[16], LoopbackSockets.Deadline()));
        await Assert.ThrowsAnyAsync<Exception>(() => pending.AsTask().WaitAsync(LoopbackSockets.Deadline()));
        server.Close();
    }

    [Fact]
    public async Task Close_is_idempotent_and_leaves_the_end_points_and_no_exception()
    {
        var (client, _, server) = await ConnectAsync();
        EndPoint local = client.LocalEndPoint!;
        EndPoint remote = client.RemoteEndPoint!;
        Assert.Equal(server.RemoteEndPoint, local);
        Assert.Equal(server.LocalEndPoint, remote);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(client.Close, TestContext.Current.CancellationToken)));
        client.Close();

        Assert.Equal(local, client.LocalEndPoint);
        Assert.Equal(remote, client.RemoteEndPoint);
        Assert.Equal(IdleVerdict.Faulted, client.CheckIdle());
        Assert.False(client.PeerClosed);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.ReceiveAsync(new byte[1], LoopbackSockets.Deadline()).AsTask());
        server.Close();
    }

    [Fact]
    public async Task Close_after_a_reset_does_not_throw()
    {
        var (client, socket, server) = await ConnectAsync();
        LoopbackSockets.Reset(server);
        await LoopbackSockets.UntilReadable(socket);
        client.Close();
    }

    [Fact]
    public async Task Mapped_addresses_are_folded_to_ipv4()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "IPv6 is off on this machine");
        using Socket listener = LoopbackSockets.Listen();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback.MapToIPv6(), LoopbackSockets.PortOf(listener)), LoopbackSockets.Deadline());
        Assert.Equal(AddressFamily.InterNetworkV6, socket.LocalEndPoint!.AddressFamily);

        var client = new SocketTransport(new ConnectedSocket(socket));
        Assert.Equal(IPAddress.Loopback, ((IPEndPoint)client.LocalEndPoint!).Address);
        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
        client.Close();
    }

    [Fact]
    public async Task Tcp_info_names_the_state()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "TCP_INFO is Linux's");
        var (client, socket, server) = await ConnectAsync();
        Assert.Equal(TcpSocketState.Established, TcpInfo.ReadState(socket));
        server.Shutdown(SocketShutdown.Send);
        await LoopbackSockets.Until(() => TcpInfo.ReadState(socket) == TcpSocketState.CloseWait);
        client.Close();
        server.Close();
    }

    private static async Task<(SocketTransport Client, Socket ClientSocket, Socket Server)> ConnectAsync()
    {
        (Socket client, Socket server) = await LoopbackSockets.ConnectAsync();
        return (new SocketTransport(new ConnectedSocket(client)), client, server);
    }
}
