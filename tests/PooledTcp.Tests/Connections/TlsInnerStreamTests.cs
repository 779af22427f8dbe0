using System.Net.Sockets;
using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>The park itself, without SslStream.</summary>
public sealed class TlsInnerStreamTests
{
    [Fact]
    public async Task A_parked_read_does_no_io_until_it_is_released()
    {
        var (stream, socket, server) = await ParkedAsync();
        await using (stream)
        {
            await server.SendAsync(new byte[] { 1 }, LoopbackSockets.Deadline());
            await LoopbackSockets.UntilReadable(socket.Raw);
            Assert.False(stream.Read.IsCompleted);
            Assert.Equal(1, socket.Raw.Available);

            Assert.True(stream.Inner.TryRelease(CancellationToken.None));
            Assert.Equal(0, await stream.Read);
            Assert.Equal(1, await stream.Inner.ReadAsync(new byte[8], LoopbackSockets.Deadline()));
        }

        server.Close();
    }

    [Fact]
    public async Task Close_ends_a_parked_read_once_and_quietly()
    {
        var (stream, _, server) = await ParkedAsync();
        await using (stream)
        {
            Assert.True(stream.Inner.EndParkedRead());
            Assert.True(stream.Read.IsCompletedSuccessfully);
            Assert.Equal(0, await stream.Read);
            Assert.Equal(0, await stream.Inner.ReadAsync(new byte[8], LoopbackSockets.Deadline()));

            Assert.False(stream.Inner.EndParkedRead());
            Assert.False(stream.Inner.TryRelease(CancellationToken.None));
            Assert.False(stream.Inner.TryProbe());
        }

        server.Close();
    }

    [Fact]
    public async Task Close_before_the_read_is_published_leaves_it_to_its_starter()
    {
        var (client, server) = await LoopbackSockets.ConnectAsync();
        await using var inner = new TlsInnerStream(new ConnectedSocket(client));
        Assert.True(inner.TryBeginPark());
        ValueTask<int> read = inner.ReadAsync(Memory<byte>.Empty, CancellationToken.None);

        Assert.False(inner.EndParkedRead());

        Assert.False(inner.TryPublishParked());
        Assert.Equal(0, await read);
        client.Close();
        server.Close();
    }

    [Fact]
    public async Task After_close_a_read_that_was_not_parked_fails_instead_of_ending()
    {
        var (client, server) = await LoopbackSockets.ConnectAsync();
        await using var inner = new TlsInnerStream(new ConnectedSocket(client));
        Assert.False(inner.EndParkedRead());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => inner.ReadAsync(new byte[8], LoopbackSockets.Deadline()).AsTask());
        client.Close();
        server.Close();
    }

    [Fact]
    public async Task A_read_that_brings_a_buffer_is_not_parked()
    {
        var (client, server) = await LoopbackSockets.ConnectAsync();
        await using var inner = new TlsInnerStream(new ConnectedSocket(client));
        Assert.True(inner.TryBeginPark());
        Assert.Equal(0, await inner.ReadAsync(new byte[8], LoopbackSockets.Deadline()));
        Assert.False(inner.TryPublishParked());
        client.Close();
        server.Close();
    }

    private static async Task<(ParkedStream Stream, (ConnectedSocket Connected, Socket Raw) Socket, Socket Server)> ParkedAsync()
    {
        var (client, server) = await LoopbackSockets.ConnectAsync();
        var connected = new ConnectedSocket(client);
        var inner = new TlsInnerStream(connected);
        Assert.True(inner.TryBeginPark());
        Task<int> read = inner.ReadAsync(Memory<byte>.Empty, CancellationToken.None).AsTask();
        Assert.True(inner.TryPublishParked());
        Assert.True(inner.IsParked);
        Assert.False(read.IsCompleted);
        return (new ParkedStream(inner, connected, read), (connected, client), server);
    }

    private sealed record ParkedStream(TlsInnerStream Inner, ConnectedSocket Socket, Task<int> Read) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            Socket.Close();
            await Inner.DisposeAsync();
        }
    }
}
