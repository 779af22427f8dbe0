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
        int received;
        try
        {
            ValueTask<int> receive = _transport.ReceiveAsync(buffer, cancellationToken);
            if (!receive.IsCompletedSuccessfully)
            {
                return AwaitReceiveAsync(handle, receive, buffer.Length);
            }

            received = receive.Result;
            ThrowIfEndIsOurs(received, buffer.Length);
        }
        catch (Exception e)
        {
            return ValueTask.FromException<int>(Fail(LeaseWord.Receiving, e));
        }

        received = EndReceive(received, buffer.Length);
        GC.KeepAlive(handle);
        return new ValueTask<int>(received);
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
            ThrowIfEndIsOurs(received, length);
        }
        catch (Exception e)
        {
            throw Fail(LeaseWord.Receiving, e);
        }

        received = EndReceive(received, length);
        GC.KeepAlive(handle);
        return received;
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
                // An exchange that goes on has evidently not ended. The word says so by its count of operations, until that
                // count comes round.
                Volatile.Write(ref _completedAt, 0);
                return;
            }

            word = seen;
        }
    }

    /// <summary>
    /// Our close begins with a FIN, and a quick peer answers it before the receive is torn down. To the caller that must
    /// be the interruption it is, not a peer that chose to close.
    /// </summary>
    private void ThrowIfEndIsOurs(int received, int length)
    {
        if (received == 0 && length > 0 && InterruptReason is not null)
        {
            throw new SocketException((int)SocketError.OperationAborted);
        }
    }

    private int EndReceive(int received, int length)
    {
        _bytesReceived += received;
        if (received == 0 && length > 0)
        {
            Mark(Marks.EndOfStream);
        }

        Interlocked.And(ref _word, ~LeaseWord.Receiving);
        return received;
    }

    private void EndSend(int length)
    {
        _bytesSent += length;
        Interlocked.And(ref _word, ~LeaseWord.Sending);
    }

    /// <summary>
    /// Failed or cancelled half-way: an unknown part of it may be on the wire or lost, so this connection never serves
    /// again. The record is written before the operation leaves the word, so that a return cannot miss it.
    /// </summary>
    private Exception Fail(long operation, Exception exception)
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
}
