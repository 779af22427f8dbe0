using System.Security.Authentication;
using System.Text;
using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>The two findings that shaped TlsTransport, each shown on the naive transport first.</summary>
public sealed class TlsFindingsTests
{
    private static readonly byte[] OldReply = Encoding.ASCII.GetBytes("+reply-for-A");
    private static readonly byte[] LateReply = Encoding.ASCII.GetBytes("+never-read!");

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Two_records_one_read_the_naive_check_lends_the_old_callers_bytes(SslProtocols protocol)
    {
        var (client, socket, server) = await NaiveTlsTransport.ConnectAsync(TestSettings.PinnedTls(protocol));
        using (client)
        await using (server)
        {
            byte[] wire = await server.EncryptAsync(OldReply, LateReply);
            await server.SendRawAsync(wire);
            await LoopbackSockets.Until(() => socket.Available >= wire.Length);

            var buffer = new byte[OldReply.Length];
            Assert.Equal(OldReply.Length, await client.ReceiveAsync(buffer));

            Assert.True(client.LooksClean);
            Assert.Equal(LateReply.Length, await client.ReceiveAsync(buffer));
            Assert.Equal(LateReply, buffer);
        }
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Two_records_one_read_our_park_refuses(SslProtocols protocol)
    {
        var (client, socket, server) = await TlsServerEnd.ConnectAsync(TestSettings.PinnedTls(protocol));
        await using (server)
        {
            byte[] wire = await server.EncryptAsync(OldReply, LateReply);
            await server.SendRawAsync(wire);
            await LoopbackSockets.Until(() => socket.Available >= wire.Length);

            var buffer = new byte[OldReply.Length];
            Assert.Equal(OldReply.Length, await client.ReceiveAsync(buffer, LoopbackSockets.Deadline()));
            Assert.Equal(OldReply, buffer);

            Assert.False(client.TryPark());
            client.Close();
        }
    }

    [Fact]
    public async Task Session_tickets_make_the_naive_check_condemn_a_healthy_connection()
    {
        var (client, socket, server) = await NaiveTlsTransport.ConnectAsync(TestSettings.PinnedTls(SslProtocols.Tls13));
        using (client)
        await using (server)
        {
            await LoopbackSockets.UntilReadable(socket);
            Assert.False(client.LooksClean);
        }
    }

    [Fact]
    public async Task Session_tickets_are_consumed_and_the_connection_serves()
    {
        var (client, socket, server) = await TlsServerEnd.ConnectAsync(TestSettings.PinnedTls(SslProtocols.Tls13));
        await using (server)
        {
            Assert.True(client.TryPark());
            await LoopbackSockets.UntilReadable(socket);

            Assert.Equal(IdleVerdict.Clean, client.CheckIdle());
            Assert.Equal(0, socket.Available);

            Task echo = server.EchoAsync();
            await client.SendAsync(OldReply, LoopbackSockets.Deadline());
            var buffer = new byte[64];
            int received = await client.ReceiveAsync(buffer, LoopbackSockets.Deadline());
            Assert.Equal(OldReply, buffer[..received]);

            Assert.True(client.TryPark());
            Assert.Equal(IdleVerdict.Clean, client.CheckIdle());
            client.Close();
            await echo;
        }
    }

    [Theory]
    [InlineData(SslProtocols.Tls12, 3)]
    [InlineData(SslProtocols.Tls12, 20)]
    [InlineData(SslProtocols.Tls13, 3)]
    [InlineData(SslProtocols.Tls13, 5)]
    [InlineData(SslProtocols.Tls13, 20)]
    public async Task The_first_part_of_a_stray_record_is_unread_bytes_behind_tickets_or_alone(SslProtocols protocol, int arrived)
    {
        var (client, socket, server) = await TlsServerEnd.ConnectAsync(TestSettings.PinnedTls(protocol));
        await using (server)
        {
            Assert.True(client.TryPark());
            if (protocol == SslProtocols.Tls13)
            {
                await LoopbackSockets.UntilReadable(socket);
            }

            int tickets = socket.Available;
            byte[] stray = await server.EncryptAsync(LateReply);
            Assert.True(arrived < stray.Length);
            await server.SendRawAsync(stray.AsMemory(0, arrived));
            await LoopbackSockets.Until(() => socket.Available >= tickets + arrived);

            Assert.Equal(IdleVerdict.UnreadBytes, client.CheckIdle());
            client.Close();
        }
    }
}
