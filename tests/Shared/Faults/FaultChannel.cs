using System.Net;
using System.Net.Sockets;

namespace PooledTcp.TestSupport;

/// <summary>One client's connection through a <see cref="FaultProxy"/>, and its way on to the server.</summary>
internal sealed class FaultChannel : IDisposable
{
    // Slow enough that a reply of some twenty bytes outlasts every deadline of the tests.
    public static readonly TimeSpan DripInterval = TimeSpan.FromMilliseconds(20);

    // No byte of it begins or ends anything in a text protocol, and none is a TLS content type.
    private static readonly byte[] Garbage = [.. Enumerable.Range(0, 64).Select(static i => (byte)(0x80 + i))];

    private readonly Socket _client;
    private readonly Socket _server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _end = new();
    private readonly Lock _gate = new();

    // Under the gate.
    private TaskCompletionSource _flow = Open();
    private FaultOrder _armed;
    private int _replyBytesLeft;
    private Fault _fault;
    private bool _ended;

    public FaultChannel(Socket client) => _client = client;

    private Fault Current
    {
        get
        {
            lock (_gate)
            {
                return _fault;
            }
        }
    }

    /// <summary>Relays until both ends are done, or a fault ends it.</summary>
    public async Task RunAsync(EndPoint server)
    {
        try
        {
            // A stall that came with the accept: nothing is to reach the server either.
            await FlowAsync();
            await _server.ConnectAsync(server, _end.Token);
            await Task.WhenAll(EndOnErrorAsync(PumpRequestsAsync()), EndOnErrorAsync(PumpRepliesAsync()));
        }
        catch (SocketException)
        {
            // The server refuses: so do we.
            AbortQuietly(_client);
        }
        catch (Exception e) when (IsEnd(e))
        {
            // A fault that came with the accept has said already how this ends.
        }
        finally
        {
            lock (_gate)
            {
                _ended = true;
            }

            Dispose();
        }
    }

    public void Order(FaultOrder order)
    {
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }

            _armed = order;
            _replyBytesLeft = order.ReplyBytes;
            if (order.Trigger == FaultTrigger.AtOnce)
            {
                Engage();
            }
        }
    }

    public void Heal()
    {
        lock (_gate)
        {
            _armed = default;
            if (_ended)
            {
                return;
            }

            if (_fault is Fault.HalfClose or Fault.Garbage or Fault.Silent)
            {
                Reset();
            }

            _fault = Fault.None;
            _flow.TrySetResult();
        }
    }

    /// <summary>RST, whatever it was doing.</summary>
    public void Abort()
    {
        lock (_gate)
        {
            if (!_ended)
            {
                Reset();
            }
        }
    }

    public void Dispose()
    {
        _client.Dispose();
        AbortQuietly(_server);
    }

    private static TaskCompletionSource Open()
    {
        TaskCompletionSource flow = Closed();
        flow.SetResult();
        return flow;
    }

    private static TaskCompletionSource Closed() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static bool IsEnd(Exception exception) => exception is SocketException or OperationCanceledException or ObjectDisposedException;

    /// <summary>Under the gate: the fault that was ordered sets in.</summary>
    private void Engage()
    {
        Fault fault = _fault = _armed.Fault;
        _armed = default;
        try
        {
            switch (fault)
            {
                case Fault.Stall:
                    _flow = Closed();
                    break;
                case Fault.Cut:
                    _client.Shutdown(SocketShutdown.Send);
                    _end.CancelAsync();
                    break;
                case Fault.Reset or Fault.Refuse:
                    Reset();
                    break;
                case Fault.HalfClose:
                    _client.Shutdown(SocketShutdown.Send);
                    break;
                case Fault.Garbage:
                    _client.Send(Garbage);
                    break;
            }
        }
        catch (SocketException)
        {
            // The client was faster, and has gone.
        }
    }

    private void EngageIf(FaultTrigger trigger)
    {
        lock (_gate)
        {
            if (_armed.Fault != Fault.None && _armed.Trigger == trigger)
            {
                Engage();
            }
        }
    }

    /// <summary>Under the gate. Closing with linger 0 is an RST (tcp-facts section 1, row 4).</summary>
    private void Reset()
    {
        AbortQuietly(_client);
        _end.CancelAsync();
    }

    /// <summary>
    /// RST. The server's side always ends so: thousands of TIME_WAITs of ours would take the ports from the tests beside these.
    /// </summary>
    private static void AbortQuietly(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (IsEnd(e))
        {
            // Gone already.
        }

        socket.Dispose();
    }

    private async Task EndOnErrorAsync(Task pump)
    {
        try
        {
            await pump;
        }
        catch (Exception e) when (IsEnd(e))
        {
            // One end broke: the other learns it by our close.
            await _end.CancelAsync();
        }
    }

    /// <summary>Waits while the connection is stalled.</summary>
    private async ValueTask FlowAsync()
    {
        while (true)
        {
            Task flow;
            lock (_gate)
            {
                flow = _flow.Task;
            }

            if (flow.IsCompleted)
            {
                return;
            }

            await flow.WaitAsync(_end.Token);
        }
    }

    private async Task PumpRequestsAsync()
    {
        var buffer = new byte[16 * 1024];
        while (true)
        {
            await FlowAsync();
            int received = await _client.ReceiveAsync(buffer, _end.Token);
            if (received == 0)
            {
                await ClientHasEndedAsync();
                return;
            }

            EngageIf(FaultTrigger.InRequest);
            await FlowAsync();
            switch (Current)
            {
                case Fault.Cut or Fault.HalfClose or Fault.Silent:
                    break;
                case Fault.Garbage:
                    await _client.SendAsync(Garbage, _end.Token);
                    break;
                default:
                    await _server.SendAsync(buffer.AsMemory(0, received), _end.Token);
                    break;
            }
        }
    }

    private async Task ClientHasEndedAsync()
    {
        EngageIf(FaultTrigger.AtClientFin);

        // A FIN that is dripped upon, so that a close which reads to the end has something to read.
        while (Current == Fault.Drip)
        {
            await _client.SendAsync(Garbage.AsMemory(0, 1), _end.Token);
            await Task.Delay(DripInterval, _end.Token);
        }

        await FlowAsync();
        if (Current is Fault.Silent or Fault.Garbage)
        {
            // Says nothing to a FIN either, until it is healed.
            await Task.Delay(Timeout.InfiniteTimeSpan, _end.Token);
        }

        // To the client it looks as if the server had answered its FIN with one.
        AbortQuietly(_server);
        _client.Shutdown(SocketShutdown.Send);
    }

    private async Task PumpRepliesAsync()
    {
        var buffer = new byte[16 * 1024];
        while (true)
        {
            await FlowAsync();
            int received = await _server.ReceiveAsync(buffer, _end.Token);
            await FlowAsync();
            if (received == 0)
            {
                // What says nothing does not say goodbye; the client's end, or the healing, ends it.
                if (Current is not (Fault.Silent or Fault.Garbage or Fault.HalfClose))
                {
                    _client.Shutdown(SocketShutdown.Send);
                }

                return;
            }

            await ForwardAsync(buffer.AsMemory(0, received));
        }
    }

    private async Task ForwardAsync(ReadOnlyMemory<byte> reply)
    {
        int whole = reply.Length;
        bool triggers = false;
        lock (_gate)
        {
            if (_armed is { Fault: not Fault.None, Trigger: FaultTrigger.InReply })
            {
                whole = Math.Min(_replyBytesLeft, reply.Length);
                _replyBytesLeft -= whole;
                triggers = _replyBytesLeft == 0;
            }
        }

        await RelayAsync(reply[..whole]);
        if (triggers)
        {
            EngageIf(FaultTrigger.InReply);
        }

        await FlowAsync();
        await RelayAsync(reply[whole..]);
    }

    private async Task RelayAsync(ReadOnlyMemory<byte> reply)
    {
        while (reply.Length > 0)
        {
            switch (Current)
            {
                case Fault.Drip:
                    await _client.SendAsync(reply[..1], _end.Token);
                    reply = reply[1..];
                    await Task.Delay(DripInterval, _end.Token);
                    break;
                case Fault.Silent or Fault.Garbage or Fault.HalfClose or Fault.Cut:
                    return;
                default:
                    await _client.SendAsync(reply, _end.Token);
                    return;
            }
        }
    }
}
