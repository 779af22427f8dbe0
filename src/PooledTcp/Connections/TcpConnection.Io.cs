using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;

namespace PooledTcp.Connections;

/// <summary>
/// The operations of a lease. Each enters the state word by compare-and-swap before it touches the transport, so a stale
/// copy throws however it races, and a return sees what is in flight.
/// </summary>
internal sealed partial class TcpConnection
{
    public ValueTask<int> ReceiveAsync(long version, Memory<byte> buffer, ReadStyle style, CancellationToken cancellationToken)
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
                return AwaitReceiveAsync(receive, buffer.Length);
            }

            received = receive.Result;
            ThrowIfEndIsOurs(received, buffer.Length);
        }
        catch (Exception e)
        {
            return ValueTask.FromException<int>(Fail(LeaseWord.Receiving, e));
        }

        return new ValueTask<int>(EndReceive(received, buffer.Length));
    }

    public ValueTask SendAsync(long version, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
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
                return AwaitSendAsync(send, buffer.Length);
            }
        }
        catch (Exception e)
        {
            return ValueTask.FromException(Fail(LeaseWord.Sending, e));
        }

        send.GetAwaiter().GetResult();
        EndSend(buffer.Length);
        return default;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> AwaitReceiveAsync(ValueTask<int> receive, int length)
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

        return EndReceive(received, length);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask AwaitSendAsync(ValueTask send, int length)
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
            _endOfStream = true;
        }

        // A Complete() that came during the operation was too early: what it brought was not known yet.
        Interlocked.And(ref _word, ~(LeaseWord.Receiving | LeaseWord.Completed));
        return received;
    }

    private void EndSend(int length)
    {
        _bytesSent += length;
        Interlocked.And(ref _word, ~(LeaseWord.Sending | LeaseWord.Completed));
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
        _broken = true;
        _lost |= lost;
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
