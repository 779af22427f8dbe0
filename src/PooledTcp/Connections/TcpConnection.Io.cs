using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;

namespace PooledTcp.Connections;

/// <summary>
/// The operations of a lease. Each enters the state word by compare-and-swap before it touches the transport, so a stale
/// copy throws however it races, and a return sees what is in flight.
/// </summary>
/// <remarks>
/// Each keeps its caller's handle until it has ended, or a collection in the middle could take the lease for a lost one: the
/// JIT lets go of what a method does not use any more.
/// </remarks>
internal sealed partial class TcpConnection
{
    public ValueTask<int> ReceiveAsync(LeaseHandle handle, long version, Memory<byte> buffer, ReadStyle style, CancellationToken cancellationToken)
    {
        ThrowIfStale(version);
        SetReadStyle(version, style);
        if (cancellationToken.IsCancellationRequested)
        {
            // Nothing was started, so nothing is out of step: the lease is as good as before.
            return ValueTask.FromCanceled<int>(cancellationToken);
        }

        Enter(version, LeaseWord.Receiving);

        // Nobody can take it back, so it needs no more than the socket. See SocketReceive for the gain.
        if (!cancellationToken.CanBeCanceled && _transport.PlainSocket is { } socket)
        {
            return SocketReceive.Begin(this, handle, socket, buffer);
        }

        int received;
        try
        {
            ValueTask<int> receive = _transport.ReceiveAsync(buffer, cancellationToken);
            if (!receive.IsCompletedSuccessfully)
            {
                return AwaitReceiveAsync(handle, receive, buffer.Length);
            }

            received = receive.Result;
        }
        catch (Exception e)
        {
            return ValueTask.FromException<int>(Fail(LeaseWord.Receiving, e));
        }

        Exception? fault = EndReceive(SocketError.Success, received, buffer.Length);
        GC.KeepAlive(handle);
        return fault is null ? new ValueTask<int>(received) : ValueTask.FromException<int>(fault);
    }

    /// <summary>The end of a receive, whatever came of it. What the caller is to be told if it failed; null if it did not.</summary>
    public Exception? EndReceive(SocketError error, int received, int length)
    {
        bool isEnd = received == 0 && length > 0;

        // Our close begins with a FIN, and a quick peer answers it before the receive is torn down. To the caller that must
        // be the interruption it is, not a peer that chose to close.
        if (error == SocketError.Success && isEnd && InterruptReason is not null)
        {
            error = SocketError.OperationAborted;
        }

        if (error != SocketError.Success)
        {
            return Fail(LeaseWord.Receiving, new SocketException((int)error));
        }

        _bytesReceived += received;
        if (isEnd)
        {
            Mark(Marks.EndOfStream);
        }

        Interlocked.And(ref _word, ~LeaseWord.Receiving);
        return null;
    }

    /// <summary>
    /// Failed or cancelled half-way: an unknown part of it may be on the wire or lost, so this connection never serves
    /// again. The record is written before the operation leaves the word, so that a return cannot miss it.
    /// </summary>
    public Exception Fail(long operation, Exception exception)
    {
        bool nothingSent = !_sendStarted;
        bool nothingReceived = _bytesReceived == 0;
        bool lost = exception is SocketException or IOException or ObjectDisposedException or AuthenticationException;
        _lost |= lost;
        Mark(Marks.Broken);
        Interlocked.And(ref _word, ~operation);
        if (!lost)
        {
            return exception;
        }

        string what = operation == LeaseWord.Receiving ? "receiving" : "sending";
        string why = InterruptReason is { } reason
            ? $"the pool closed it under the lease ({reason})"
            : exception.Message;
        return new ConnectionFaultedException(
            $"Connection {Id} of pool '{PoolName}' failed while {what}: {why}", PoolName, Id, Uses > 1, nothingSent, nothingReceived, exception);
    }

    public ValueTask SendAsync(LeaseHandle handle, long version, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        ThrowIfStale(version);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        Enter(version, LeaseWord.Sending);

        // Before the first byte: a send that was cancelled or failed reports none, and may have put megabytes on the wire.
        _sendStarted = true;
        ValueTask send;
        try
        {
            send = _transport.SendAsync(buffer, cancellationToken);
            if (!send.IsCompletedSuccessfully)
            {
                return AwaitSendAsync(handle, send, buffer.Length);
            }
        }
        catch (Exception e)
        {
            return ValueTask.FromException(Fail(LeaseWord.Sending, e));
        }

        send.GetAwaiter().GetResult();
        EndSend(buffer.Length);
        GC.KeepAlive(handle);
        return default;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> AwaitReceiveAsync(LeaseHandle handle, ValueTask<int> receive, int length)
    {
        int received;
        try
        {
            received = await receive.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Fail(LeaseWord.Receiving, e);
        }

        Exception? fault = EndReceive(SocketError.Success, received, length);
        GC.KeepAlive(handle);
        return fault is null ? received : throw fault;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask AwaitSendAsync(LeaseHandle handle, ValueTask send, int length)
    {
        try
        {
            await send.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Fail(LeaseWord.Sending, e);
        }

        EndSend(length);
        GC.KeepAlive(handle);
    }

    private void Enter(long version, long operation)
    {
        long word = Volatile.Read(ref _word);
        while (true)
        {
            if (!LeaseWord.IsHeldBy(word, version))
            {
                ThrowIfStale(version);
            }

            if ((word & operation) != 0)
            {
                throw new InvalidOperationException(operation == LeaseWord.Receiving
                    ? "A receive is already in flight on this lease: one receive and one send may run at a time."
                    : "A send is already in flight on this lease: one receive and one send may run at a time.");
            }

            long seen = Interlocked.CompareExchange(ref _word, LeaseWord.Begin(word, operation), word);
            if (seen == word)
            {
                // Takes a Complete() back even if so many operations follow that their number comes round to where it was. After
                // the swap: a stale copy never gets here, and the operation is in flight until its end.
                Volatile.Write(ref _completedAt, 0);
                return;
            }

            word = seen;
        }
    }

    private void EndSend(int length)
    {
        _bytesSent += length;
        Interlocked.And(ref _word, ~LeaseWord.Sending);
    }
}
