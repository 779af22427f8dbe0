using System.Net;
using System.Net.Sockets;

namespace PooledTcp.StatsPageTests.Support;

/// <summary>Sends back what it receives, after a while.</summary>
internal sealed class EchoServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly TimeSpan _delay;
    private readonly Task _accepting;

    public EchoServer(TimeSpan delay = default)
    {
        _delay = delay;
        _listener.Start(512);
        _accepting = AcceptAsync();
    }

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndpoint;

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        List<Task> clients = [];
        try
        {
            while (true)
            {
                clients.Add(ServeAsync(await _listener.AcceptSocketAsync(_end.Token)));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The end.
        }

        await Task.WhenAll(clients);
    }

    private async Task ServeAsync(Socket client)
    {
        using (client)
        {
            byte[] buffer = new byte[1024];
            try
            {
                int received;
                while ((received = await client.ReceiveAsync(buffer, _end.Token)) > 0)
                {
                    if (_delay > TimeSpan.Zero)
                    {
                        await Task.Delay(_delay, _end.Token);
                    }

                    await client.SendAsync(buffer.AsMemory(0, received), _end.Token);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // Its client went, or the test ends.
            }
        }
    }
}
