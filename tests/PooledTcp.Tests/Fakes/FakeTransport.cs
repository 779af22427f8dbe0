using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using PooledTcp.Connections;

namespace PooledTcp.Tests.Fakes;

/// <summary>
/// A connection in memory. Receives are scripted, every answer can be set, and an operation can be held in flight. It
/// ends what is pending when it is closed, as a socket does.
/// </summary>
internal sealed partial class FakeTransport : Transport
{
    private readonly Lock _gate = new();
    private readonly Queue<byte[]> _incoming = new();
    private readonly List<byte[]> _sent = [];
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource<int>? _receive;
    private TaskCompletionSource? _send;
    private Memory<byte> _receiveBuffer;
    private bool _endOfStream;
    private int _checks;
    private int _parks;
    private int _vanishedChecks;

    public override EndPoint? LocalEndPoint { get; } = new IPEndPoint(IPAddress.Loopback, 40_000);

    public override EndPoint? RemoteEndPoint { get; } = new IPEndPoint(IPAddress.Loopback, 7000);

    public override bool PeerClosed => PeerHasClosed;

    public override bool NeedsParking => MustPark;

    public bool PeerHasClosed { get; set; }

    /// <summary>The peer's FIN is here: for the kernel's state, and for a look at what is readable.</summary>
    public void PeerClosesNow()
    {
        // In this order: whoever learns of it in the background asks the kernel next.
        Facts = Facts with { State = TcpSocketState.CloseWait };
        Verdict = IdleVerdict.PeerClosed;
        PeerHasClosed = true;
    }

    public bool MustPark { get; init; }

    public bool ParkResult { get; set; } = true;

    public IdleVerdict Verdict { get; set; }

    /// <summary>Runs inside <see cref="CheckIdle"/>: between the pool's look at a connection and its decision.</summary>
    public Action? OnCheckIdle { get; set; }

    /// <summary>Runs inside <see cref="TryPark"/>: between the look at a returned connection and its publication.</summary>
    public Action? OnPark { get; set; }

    /// <summary>Runs first thing in <see cref="Close"/>.</summary>
    public Action? OnClose { get; set; }

    /// <summary>Sends complete at once and nothing is recorded; receives yield one byte at once. For the tests that count allocations.</summary>
    public bool Mute { get; set; }

    public bool HoldSends { get; set; }

    /// <summary>What the next operations fail with, at once.</summary>
    public Exception? Fault { get; set; }

    /// <summary>So far; other threads may be sending.</summary>
    public IReadOnlyList<byte[]> Sent
    {
        get
        {
            lock (_gate)
            {
                return [.. _sent];
            }
        }
    }

    public int Checks => Volatile.Read(ref _checks);

    public int Parks => Volatile.Read(ref _parks);

    public Task Closed => _closed.Task;

    public bool IsClosed => _closed.Task.IsCompleted;

    /// <summary>The buffer of the receive in flight.</summary>
    public Memory<byte> PendingBuffer => _receiveBuffer;

    public void Feed(string text) => Feed(Encoding.ASCII.GetBytes(text));

    public void Feed(params byte[] bytes)
    {
        TaskCompletionSource<int>? receive;
        lock (_gate)
        {
            receive = _receive;
            _receive = null;
            if (receive is null)
            {
                _incoming.Enqueue(bytes);
                return;
            }

            bytes.CopyTo(_receiveBuffer);
        }

        receive.SetResult(bytes.Length);
    }

    public void EndOfStream()
    {
        TaskCompletionSource<int>? receive;
        lock (_gate)
        {
            _endOfStream = true;
            receive = _receive;
            _receive = null;
        }

        receive?.SetResult(0);
    }

    public void CompleteSend()
    {
        TaskCompletionSource send;
        lock (_gate)
        {
            send = _send!;
            _send = null;
        }

        send.SetResult();
    }

    // The scripted halves capture their token, so they allocate: not on the way of the tests that count.
    public override ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        Mute ? new ValueTask<int>(1) : ReceiveScripted(buffer, cancellationToken);

    public override ValueTask SendAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) =>
        Mute ? default : SendScripted(buffer, cancellationToken);

    public override bool TryPark()
    {
        Interlocked.Increment(ref _parks);
        OnPark?.Invoke();
        return ParkResult;
    }

    public override IdleVerdict CheckIdle()
    {
        Interlocked.Increment(ref _checks);
        OnCheckIdle?.Invoke();
        return Verdict;
    }

    public override bool HasVanished(TimeSpan after)
    {
        Interlocked.Increment(ref _vanishedChecks);
        return HasNoAnswer;
    }

    /// <summary>The kernel waits for the peer in vain.</summary>
    public bool HasNoAnswer { get; set; }

    /// <summary>How often the pool asked for that.</summary>
    public int VanishedChecks => Volatile.Read(ref _vanishedChecks);

    public override void Close()
    {
        TaskCompletionSource<int>? receive;
        TaskCompletionSource? send;
        OnClose?.Invoke();
        lock (_gate)
        {
            if (!_closed.TrySetResult())
            {
                return;
            }

            Closings++;
            receive = _receive;
            send = _send;
            _receive = null;
            _send = null;
        }

        receive?.TrySetException(new SocketException((int)SocketError.OperationAborted));
        send?.TrySetException(new SocketException((int)SocketError.OperationAborted));
    }

    /// <summary>The array under the buffer of the receive in flight.</summary>
    public byte[] PendingArray() => MemoryMarshal.TryGetArray<byte>(_receiveBuffer, out ArraySegment<byte> segment) ? segment.Array! : [];

    private ValueTask<int> ReceiveScripted(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ThrowIfUnfit();
            if (_incoming.TryDequeue(out byte[]? next))
            {
                int taken = Math.Min(next.Length, buffer.Length);
                next.AsSpan(0, taken).CopyTo(buffer.Span);
                if (taken < next.Length)
                {
                    byte[][] rest = [next[taken..], .. _incoming];
                    _incoming.Clear();
                    Array.ForEach(rest, _incoming.Enqueue);
                }

                return new ValueTask<int>(taken);
            }

            if (_endOfStream)
            {
                return new ValueTask<int>(0);
            }

            _receiveBuffer = buffer;
            _receive = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
            TaskCompletionSource<int> mine = _receive;
            cancellationToken.Register(() => mine.TrySetCanceled(cancellationToken));
            return new ValueTask<int>(mine.Task);
        }
    }

    private ValueTask SendScripted(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ThrowIfUnfit();
            _sent.Add(buffer.ToArray());
            if (!HoldSends)
            {
                return default;
            }

            _send = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            TaskCompletionSource mine = _send;
            cancellationToken.Register(() => mine.TrySetCanceled(cancellationToken));
            return new ValueTask(mine.Task);
        }
    }

    private void ThrowIfUnfit()
    {
        ObjectDisposedException.ThrowIf(IsClosed, this);
        if (Fault is { } fault)
        {
            throw fault;
        }
    }
}
