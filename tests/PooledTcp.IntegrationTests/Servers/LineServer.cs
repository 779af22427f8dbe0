using System.Net;
using System.Net.Sockets;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>The frame of the small servers that tests write themselves: accepts, serves each connection, ends with them all.</summary>
internal abstract class LineServer : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _serving = [];
    private readonly Socket _listener;
    private readonly Task _accepting;
    private int _accepted;

    protected LineServer(EndPoint endPoint)
    {
        ProtocolType protocol = endPoint is IPEndPoint ? ProtocolType.Tcp : ProtocolType.Unspecified;
        _listener = new Socket(endPoint.AddressFamily, SocketType.Stream, protocol);
        _listener.Bind(endPoint);
        _listener.Listen();
        _accepting = Task.Run(AcceptAsync);
    }

    protected LineServer()
        : this(new IPEndPoint(IPAddress.Loopback, 0))
    {
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    public string Address => $"127.0.0.1:{Port}";

    public int Accepted => Volatile.Read(ref _accepted);

    public virtual async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_serving);
        _stop.Dispose();
    }

    protected abstract Task ServeAsync(Socket client, CancellationToken cancellationToken);

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Socket client = await _listener.AcceptAsync(_stop.Token);
                Interlocked.Increment(ref _accepted);
                _serving.Add(Task.Run(() => ServeOneAsync(client)));
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeOneAsync(Socket client)
    {
        using (client)
        {
            try
            {
                await ServeAsync(client, _stop.Token);
            }
            catch (Exception)
            {
                // A client that went away, or was refused.
            }
        }
    }
}
