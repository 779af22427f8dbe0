using System.Runtime.CompilerServices;
using System.Security.Authentication;
using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>How a TLS connection ends under a park, a check or a receive, and what it keeps alive until then.</summary>
public sealed partial class TlsTransportTests
{
    [Fact]
    public async Task Close_of_a_parked_connection_sends_fin_and_everything_after_fails()
    {
        var (client, _, server) = await ParkedAsync(SslProtocols.Tls13, used: true);
        await using (server)
        {
            client.Close();
            client.Close();

            Assert.Equal(0, await server.Ssl.ReadAsync(new byte[16], LoopbackSockets.Deadline()));
            Assert.False(client.TryPark());
            Assert.Equal(IdleVerdict.Faulted, client.CheckIdle());
            Assert.False(client.PeerClosed);
            await Assert.ThrowsAsync<ObjectDisposedException>(() => client.ReceiveAsync(new byte[1], LoopbackSockets.Deadline()).AsTask());
            await Assert.ThrowsAsync<ObjectDisposedException>(() => client.SendAsync(new byte[1], LoopbackSockets.Deadline()).AsTask());
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Close_with_a_receive_pending_fails_it_and_sends_fin(bool parked)
    {
        var (client, _, server) = parked
            ? await ParkedAsync(SslProtocols.Tls13, used: true)
            : await TlsServerEnd.ConnectAsync(TestSettings.PinnedTls(SslProtocols.Tls12));
        await using (server)
        {
            ValueTask<int> pending = client.ReceiveAsync(new byte[16], LoopbackSockets.Deadline());
            Assert.False(pending.IsCompleted);
            client.Close();
            await Assert.ThrowsAnyAsync<Exception>(() => pending.AsTask().WaitAsync(LoopbackSockets.Deadline()));
            Assert.Equal(0, await server.Ssl.ReadAsync(new byte[16], LoopbackSockets.Deadline()));
        }
    }

    /// <summary>Whoever loses the race gets an error; nobody hangs, and no end of stream is invented.</summary>
    [Fact]
    public async Task Close_races_park_check_and_receive()
    {
        for (int round = 0; round < 60; round++)
        {
            var (client, _, server) = await TlsServerEnd.ConnectAsync(TestSettings.PinnedTls(SslProtocols.Tls13));
            await using (server)
            {
                using var start = new Barrier(2);
                Task close = Task.Run(() =>
                {
                    start.SignalAndWait();
                    Thread.SpinWait(round * 40);
                    client.Close();
                }, LoopbackSockets.Deadline());
                start.SignalAndWait(LoopbackSockets.Deadline());
                if (client.TryPark())
                {
                    _ = client.CheckIdle();
                }

                CancellationToken deadline = LoopbackSockets.Deadline();
                // An error, or (where Close ended the park as an end of stream just before) 0: never bytes, never a hang.
                // A lease tells the two apart by who closed.
                Assert.Equal(0, await ReceiveOrFailAsync(client, deadline));
                await close;
                Assert.False(deadline.IsCancellationRequested);
            }
        }
    }

    private static async Task<int> ReceiveOrFailAsync(TlsTransport client, CancellationToken deadline)
    {
        try
        {
            return await client.ReceiveAsync(new byte[16], deadline);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return 0;
        }
    }

    /// <summary>An idle connection must not keep the request alive that returned it.</summary>
    [Fact]
    public async Task The_park_does_not_hold_the_returners_async_locals()
    {
        var (client, _, server) = await TlsServerEnd.ConnectAsync(TestSettings.PinnedTls(SslProtocols.Tls12));
        await using (server)
        {
            WeakReference request = await Task.Run(() => ParkInsideRequest(client), TestContext.Current.CancellationToken);
            await LoopbackSockets.Until(() =>
            {
                GC.Collect();
                return !request.IsAlive;
            });
            Assert.Equal(IdleVerdict.Clean, client.CheckIdle());
            client.Close();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference ParkInsideRequest(TlsTransport client)
    {
        var request = new object();
        var ambient = new AsyncLocal<object> { Value = request };
        Assert.True(client.TryPark());
        Assert.Same(request, ambient.Value);
        return new WeakReference(request);
    }
}
