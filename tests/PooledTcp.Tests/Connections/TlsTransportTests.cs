using System.Buffers.Binary;
using System.Net.Sockets;
using System.Security.Authentication;
using PooledTcp.Connections;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.Tests.Connections;

public sealed partial class TlsTransportTests
{
    private static readonly byte[] Message = "PING"u8.ToArray();

    public static TheoryData<SslProtocols, bool> Connections => new()
    {
        { SslProtocols.Tls12, false },
        { SslProtocols.Tls12, true },
        { SslProtocols.Tls13, false },
        { SslProtocols.Tls13, true },
    };

    public static TheoryData<SslProtocols> Protocols => new() { SslProtocols.Tls12, SslProtocols.Tls13 };

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task A_live_idle_connection_is_clean_again_and_again(SslProtocols protocol, bool used)
    {
        var (client, _, server) = await ParkedAsync(protocol, used);
        await using (server)
        {
            for (int i = 0; i < 3; i++)
            {
                Assert.True(client.TryPark());
                Assert.Equal(IdleVerdict.Clean, client.CheckIdle());
            }

            Assert.False(client.PeerClosed);
            await ExchangeAsync(client, server);
            client.Close();
        }
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task Close_notify_while_idle_is_the_peers_close(SslProtocols protocol, bool used)
    {
        var (client, socket, server) = await ParkedAsync(protocol, used);
        await using (server)
        {
            await server.Ssl.ShutdownAsync();
            await LoopbackSockets.UntilReadable(socket);
            Assert.Equal(IdleVerdict.PeerClosed, client.CheckIdle());
            client.Close();
        }
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task A_bare_fin_while_idle_is_the_peers_close(SslProtocols protocol, bool used)
    {
        var (client, socket, server) = await ParkedAsync(protocol, used);
        await using (server)
        {
            server.Socket.Shutdown(SocketShutdown.Send);
            await LoopbackSockets.UntilReadable(socket);
            Assert.Equal(IdleVerdict.PeerClosed, client.CheckIdle());
            Assert.True(client.PeerClosed);
            client.Close();
        }
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task An_rst_while_idle_is_the_peers_close_too(SslProtocols protocol, bool used)
    {
        var (client, socket, server) = await ParkedAsync(protocol, used);
        LoopbackSockets.Reset(server.Socket);
        await LoopbackSockets.UntilReadable(socket);
        Assert.Equal(IdleVerdict.Reset, client.CheckIdle());
        client.Close();
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task Stray_plaintext_while_idle_is_unread_bytes(SslProtocols protocol, bool used)
    {
        var (client, socket, server) = await ParkedAsync(protocol, used);
        await using (server)
        {
            await server.Ssl.WriteAsync(Message, LoopbackSockets.Deadline());
            await LoopbackSockets.UntilReadable(socket);
            Assert.Equal(IdleVerdict.UnreadBytes, client.CheckIdle());

            // The first look has emptied the socket; the second must not find that clean.
            Assert.NotEqual(IdleVerdict.Clean, client.CheckIdle());
            client.Close();
        }
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task Garbage_while_idle_is_a_fault(SslProtocols protocol, bool used)
    {
        var (client, socket, server) = await ParkedAsync(protocol, used);
        await using (server)
        {
            // A whole record by its header, and nonsense to the cipher.
            byte[] garbage = [23, 3, 3, 0, 32, .. Enumerable.Repeat((byte)0x5A, 32)];
            await server.SendRawAsync(garbage);
            await LoopbackSockets.Until(() => socket.Available >= garbage.Length);
            Assert.Equal(IdleVerdict.Faulted, client.CheckIdle());
            client.Close();
        }
    }

    [Theory]
    [InlineData(SslProtocols.Tls12, 1)]
    [InlineData(SslProtocols.Tls12, 20)]
    [InlineData(SslProtocols.Tls13, 3)]
    [InlineData(SslProtocols.Tls13, 20)]
    public async Task The_beginning_of_a_record_while_idle_is_unread_bytes(SslProtocols protocol, int length)
    {
        var (client, socket, server) = await ParkedAsync(protocol, used: true);
        await using (server)
        {
            byte[] record = await server.EncryptAsync(Message);
            await server.SendRawAsync(record.AsMemory(0, length));
            await LoopbackSockets.Until(() => socket.Available >= length);
            Assert.Equal(IdleVerdict.UnreadBytes, client.CheckIdle());

            // The first look has emptied the socket; the second must not find that clean.
            Assert.NotEqual(IdleVerdict.Clean, client.CheckIdle());
            client.Close();
        }
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_fin_inside_a_record_while_idle_is_the_peers_close(SslProtocols protocol)
    {
        // The test waits for a FIN behind unread bytes, which only TCP_INFO shows.
        AbilitiesOff.SkipIf(true);
        var (client, socket, server) = await ParkedAsync(protocol, used: true);
        await using (server)
        {
            byte[] record = await server.EncryptAsync(Message);
            await server.SendRawAsync(record.AsMemory(0, 9));
            server.Socket.Shutdown(SocketShutdown.Send);
            await LoopbackSockets.Until(() => socket.Available == 9 && client.PeerClosed);
            Assert.Equal(IdleVerdict.PeerClosed, client.CheckIdle());
            client.Close();
        }
    }

    [Theory]
    [InlineData(SslProtocols.Tls12, 1)]
    [InlineData(SslProtocols.Tls12, 20)]
    [InlineData(SslProtocols.Tls13, 3)]
    [InlineData(SslProtocols.Tls13, 20)]
    public async Task A_partial_record_at_return_is_not_parked(SslProtocols protocol, int tail)
    {
        var (client, socket, server) = await ParkedAsync(protocol, used: true);
        await using (server)
        {
            byte[] reply = await server.EncryptAsync(Message);
            byte[] next = await server.EncryptAsync(Message);
            byte[] wire = [.. reply, .. next[..tail]];
            await server.SendRawAsync(wire);
            await LoopbackSockets.Until(() => socket.Available >= wire.Length);

            byte[] buffer = new byte[64];
            Assert.Equal(Message.Length, await client.ReceiveAsync(buffer, LoopbackSockets.Deadline()));
            Assert.Equal(0, socket.Available);
            Assert.False(client.TryPark());
            client.Close();
        }
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Buffered_plaintext_of_one_record_is_not_parked(SslProtocols protocol)
    {
        var (client, _, server) = await ParkedAsync(protocol, used: true);
        await using (server)
        {
            await server.Ssl.WriteAsync(Message, LoopbackSockets.Deadline());
            Assert.Equal(1, await client.ReceiveAsync(new byte[1], LoopbackSockets.Deadline()));
            Assert.False(client.TryPark());
            client.Close();
        }
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_thousand_leases_get_their_own_bytes(SslProtocols protocol)
    {
        var (client, _, server) = await TlsServerEnd.ConnectAsync(TestSettings.PinnedTls(protocol));
        await using (server)
        {
            Task echo = server.EchoAsync();
            var random = new Random(7);
            CancellationToken deadline = LoopbackSockets.Deadline();
            for (int i = 0; i < 1000; i++)
            {
                Assert.True(client.TryPark());
                Assert.Equal(IdleVerdict.Clean, client.CheckIdle());

                // Every fiftieth spans many records, both ways at once.
                byte[] request = new byte[i % 50 == 0 ? random.Next(65_537, 300_000) : random.Next(4, 2_000)];
                random.NextBytes(request);
                BinaryPrimitives.WriteInt32LittleEndian(request, i);
                ValueTask send = client.SendAsync(request, deadline);
                byte[] reply = await ReceiveExactlyAsync(client, request.Length, deadline);
                await send;
                Assert.True(request.AsSpan().SequenceEqual(reply), $"lease {i} got other bytes");
            }

            client.Close();
            await echo;
        }
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task Sends_and_receives_at_once(SslProtocols protocol, bool used)
    {
        var (client, _, server) = await ParkedAsync(protocol, used);
        await using (server)
        {
            Task echo = server.EchoAsync();
            byte[] request = new byte[4 * 1024 * 1024];
            new Random(3).NextBytes(request);

            Task<byte[]> receive = ReceiveExactlyAsync(client, request.Length, LoopbackSockets.Deadline());
            await client.SendAsync(request, LoopbackSockets.Deadline());

            Assert.Equal(request, await receive);
            Assert.True(client.TryPark());
            client.Close();
            await echo;
        }
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task A_connection_that_was_never_parked_receives(SslProtocols protocol, bool receiveFirst)
    {
        var (client, _, server) = await TlsServerEnd.ConnectAsync(TestSettings.PinnedTls(protocol));
        await using (server)
        {
            ValueTask<int> early = receiveFirst ? client.ReceiveAsync(new byte[16], LoopbackSockets.Deadline()) : new ValueTask<int>(4);
            if (!receiveFirst)
            {
                await ExchangeAsync(client, server);
            }
            else
            {
                await server.Ssl.WriteAsync(Message, LoopbackSockets.Deadline());
            }

            Assert.Equal(4, await early);
            client.Close();
        }
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task A_receive_released_from_the_park_obeys_its_callers_token(SslProtocols protocol, bool used)
    {
        var (client, _, server) = await ParkedAsync(protocol, used);
        await using (server)
        {
            using var cancellation = new CancellationTokenSource();
            ValueTask<int> receive = client.ReceiveAsync(new byte[16], cancellation.Token);
            Assert.False(receive.IsCompleted);

            await cancellation.CancelAsync();

            var error = await Assert.ThrowsAsync<OperationCanceledException>(
                () => receive.AsTask().WaitAsync(LoopbackSockets.Deadline()));
            Assert.Equal(cancellation.Token, error.CancellationToken);
            client.Close();
        }
    }

    [Fact]
    public async Task A_token_does_not_outlive_its_receive()
    {
        var (client, _, server) = await ParkedAsync(SslProtocols.Tls13, used: true);
        await using (server)
        {
            using (var first = new CancellationTokenSource())
            {
                await server.Ssl.WriteAsync(Message, LoopbackSockets.Deadline());
                Assert.Equal(4, await client.ReceiveAsync(new byte[16], first.Token));

                ValueTask<int> second = client.ReceiveAsync(new byte[16], CancellationToken.None);
                await first.CancelAsync();
                Assert.False(second.IsCompleted);
                await server.Ssl.WriteAsync(Message, LoopbackSockets.Deadline());
                Assert.Equal(4, await second);
            }

            client.Close();
        }
    }

    [Fact]
    public async Task A_receive_cancelled_before_it_starts_leaves_the_park_as_it_was()
    {
        var (client, _, server) = await ParkedAsync(SslProtocols.Tls13, used: true);
        await using (server)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                () => client.ReceiveAsync(new byte[16], new CancellationToken(canceled: true)).AsTask());
            Assert.True(client.TryPark());
            await ExchangeAsync(client, server);
            client.Close();
        }
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task The_end_of_the_stream_is_seen_by_a_receive_released_from_the_park(SslProtocols protocol, bool notify)
    {
        var (client, _, server) = await ParkedAsync(protocol, used: true);
        await using (server)
        {
            ValueTask<int> receive = client.ReceiveAsync(new byte[16], LoopbackSockets.Deadline());
            if (notify)
            {
                await server.Ssl.ShutdownAsync();
            }
            else
            {
                server.Socket.Shutdown(SocketShutdown.Send);
            }

            Assert.Equal(0, await receive);
            Assert.Equal(0, await client.ReceiveAsync(new byte[16], LoopbackSockets.Deadline()));
            Assert.False(client.TryPark());
            client.Close();
        }
    }

    /// <summary>Parked; tickets of TLS 1.3 are waiting in the kernel unless it was <paramref name="used"/>.</summary>
    private static async Task<(TlsTransport Client, Socket ClientSocket, TlsServerEnd Server)> ParkedAsync(SslProtocols protocol, bool used)
    {
        var (client, socket, server) = await TlsServerEnd.ConnectAsync(TestSettings.PinnedTls(protocol));
        Assert.Equal(protocol, server.Ssl.SslProtocol);
        if (used)
        {
            await ExchangeAsync(client, server);
        }
        else if (protocol == SslProtocols.Tls13)
        {
            await LoopbackSockets.UntilReadable(socket);
        }

        Assert.True(client.TryPark());
        return (client, socket, server);
    }

    private static async Task ExchangeAsync(TlsTransport client, TlsServerEnd server)
    {
        byte[] buffer = new byte[64];
        await client.SendAsync(Message, LoopbackSockets.Deadline());
        int received = await server.Ssl.ReadAsync(buffer, LoopbackSockets.Deadline());
        await server.Ssl.WriteAsync(buffer.AsMemory(0, received), LoopbackSockets.Deadline());
        received = await client.ReceiveAsync(buffer, LoopbackSockets.Deadline());
        Assert.Equal(Message, buffer[..received]);
    }

    private static async Task<byte[]> ReceiveExactlyAsync(TlsTransport client, int length, CancellationToken cancellationToken)
    {
        byte[] bytes = new byte[length];
        for (int total = 0; total < length;)
        {
            int received = await client.ReceiveAsync(bytes.AsMemory(total), cancellationToken);
            Assert.NotEqual(0, received);
            total += received;
        }

        return bytes;
    }
}
