using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PooledTcp.IntegrationTests.Resp;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>
/// Bare sockets, without any pool, that call a slow server of their own as fast as it answers: what this process and this
/// machine let the same number of connections do at the same time.
/// </summary>
internal sealed class CapacityControl : IAsyncDisposable
{
    private readonly SlowServer _server;
    private readonly ConcurrentQueue<(long Ended, TimeSpan Took)> _cycles = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly int _connections;
    private readonly Task _callers;

    public CapacityControl(TimeSpan service, int connections)
    {
        _server = new SlowServer(service);
        _connections = connections;
        _callers = Task.WhenAll(Enumerable.Range(0, connections).Select(_ => Task.Run(CallAsync)));
    }

    /// <summary>Answers per second of them all, between two timestamps.</summary>
    public double RateWithin(long from, long to) =>
        _connections / _cycles.Where(cycle => cycle.Ended > from && cycle.Ended <= to).Average(static cycle => cycle.Took.TotalSeconds);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await _callers;
        }
        catch (OperationCanceledException)
        {
            // In the middle of a call.
        }

        await _server.DisposeAsync();
        _stop.Dispose();
    }

    private async Task CallAsync()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, _server.Port, _stop.Token);
        var reader = new RespReader(socket.ReceiveAsync);
        byte[] command = RespReply.Command("ECHO", "control");
        while (true)
        {
            long start = Stopwatch.GetTimestamp();
            await socket.SendAsync(command, _stop.Token);
            await reader.ReadAsync(_stop.Token);
            long end = Stopwatch.GetTimestamp();
            _cycles.Enqueue((end, Stopwatch.GetElapsedTime(start, end)));
        }
    }
}
