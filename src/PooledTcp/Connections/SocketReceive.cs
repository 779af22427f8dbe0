using System.Net.Sockets;
using System.Threading.Tasks.Sources;
using Microsoft.Extensions.ObjectPool;

namespace PooledTcp.Connections;

/// <summary>
/// A lease's receive on a plain socket: what the kernel answers, what ends the operation, and what the caller awaits, in
/// one object that is lent for as long as that takes.
/// </summary>
/// <remarks>
/// <para>
/// A socket's own asynchronous calls keep their event args for good. Without them a connection that served a request and
/// idles is 420 bytes lighter (688 to 266 over a bare socket, 10,000 of them), and no state machine of ours has to stand on
/// top to end the operation. Theirs can be cancelled, though, and these cannot: with a token that may fire, a receive still
/// goes the other way.
/// </para>
/// <para>
/// As they are shared by all connections, one that was given back twice would bring one caller's bytes to another. So only
/// the first to fetch the result gives it back, and only of the receive that its token names; whoever awaits once too often
/// gets an exception. (Two that await one receive while it completes are beyond help, as with every such source.)
/// </para>
/// </remarks>
internal sealed class SocketReceive : SocketAsyncEventArgs, IValueTaskSource<int>
{
    /// <summary>
    /// Kept for the receives to come; more than that at a time are left to the garbage collector. Each keeps the closed socket
    /// that it last received on, too: 600 bytes.
    /// </summary>
    private const int Retained = 256;

    /// <summary>No token: those are 16 bits wide.</summary>
    private const int Fetched = int.MinValue;

    private static readonly DefaultObjectPool<SocketReceive> Free =
        new(new DefaultPooledObjectPolicy<SocketReceive>(), Retained);

    // Continuations run where the socket's own would: on the thread that brings the answer, which holds no lock.
    private ManualResetValueTaskSourceCore<int> _answer;
    private TcpConnection? _connection;
    private LeaseHandle? _handle;
    private int _unfetched = Fetched;

    /// <summary>For the pool. The caller's ExecutionContext is not captured here: whoever awaits brings it, or does not want it.</summary>
    public SocketReceive()
        : base(true)
    {
    }

    /// <summary>Receives for a lease that has entered the operation; ends it, too.</summary>
    /// <param name="connection">The lease's.</param>
    /// <param name="handle">Kept until the operation has ended: its caller may have nothing else in hand than the task.</param>
    /// <param name="socket">The connection's.</param>
    /// <param name="buffer">Where the bytes go.</param>
    public static ValueTask<int> Begin(TcpConnection connection, LeaseHandle handle, ConnectedSocket socket, Memory<byte> buffer)
    {
        SocketReceive receive = Free.Get();
        short token = receive._answer.Version;
        bool isPending;
        try
        {
            receive.SetBuffer(buffer);

            // Before it begins: it may end on another thread before this one is back.
            receive._connection = connection;
            receive._handle = handle;
            receive._unfetched = token;
            isPending = socket.BeginReceive(receive);
        }
        catch (Exception e)
        {
            // The socket is closed, or worse: who knows what holds it still.
            receive.Dispose();
            return ValueTask.FromException<int>(connection.Fail(LeaseWord.Receiving, e));
        }

        if (isPending)
        {
            return new ValueTask<int>(receive, token);
        }

        int received = receive.BytesTransferred;
        Exception? fault = receive.End();
        receive.GiveBack();
        return fault is null ? new ValueTask<int>(received) : ValueTask.FromException<int>(fault);
    }

    int IValueTaskSource<int>.GetResult(short token)
    {
        // Both by the token: a stale one may come here while this serves another receive.
        if (_answer.GetStatus(token) == ValueTaskSourceStatus.Pending
            || Interlocked.CompareExchange(ref _unfetched, Fetched, token) != token)
        {
            throw new InvalidOperationException("A receive's ValueTask is awaited once, and its result is not read before it has completed.");
        }

        try
        {
            return _answer.GetResult(token);
        }
        finally
        {
            GiveBack();
        }
    }

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _answer.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _answer.OnCompleted(continuation, state, token, flags);

    protected override void OnCompleted(SocketAsyncEventArgs e)
    {
        // Whether the caller awaits it or not: its return looks at the connection, not at this.
        int received = BytesTransferred;
        if (End() is { } fault)
        {
            _answer.SetException(fault);
        }
        else
        {
            _answer.SetResult(received);
        }
    }

    private Exception? End()
    {
        TcpConnection connection = _connection!;
        LeaseHandle handle = _handle!;
        int length = Count;

        // Never awaited, it must not keep the caller's memory, nor the lease from being missed.
        SetBuffer(default);
        _connection = null;
        _handle = null;
        Exception? fault = connection.EndReceive(SocketError, BytesTransferred, length);
        GC.KeepAlive(handle);
        return fault;
    }

    private void GiveBack()
    {
        if (SocketError != SocketError.Success)
        {
            // Cheaper than to be sure that a socket which was torn down has let go of it.
            Dispose();
            return;
        }

        _answer.Reset();
        _unfetched = Fetched;
        Free.Return(this);
    }
}
