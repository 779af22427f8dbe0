using System.Diagnostics;
using System.Threading.Tasks.Sources;
using PooledTcp.Connections;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// One caller waiting for a connection. It is its own task source, so a wait allocates nothing once the pool of waiters
/// is warm, and it is linked into the queue directly, so leaving from the middle costs no search.
/// </summary>
/// <remarks>
/// The outcome is settled under the pool's gate: whoever removes the waiter from its queue, and only that one, completes
/// it afterwards, outside the gate. So a cancelled or expired waiter never receives a connection, a served one is never
/// cancelled, and none is reused while the queue can still reach it. Continuations run on the thread pool, never on the
/// stack of whoever returned the connection.
/// </remarks>
internal sealed class Waiter : IValueTaskSource<TcpLease>
{
    /// <summary>No token: those are 16 bits wide.</summary>
    private const int Fetched = int.MinValue;

    private ManualResetValueTaskSourceCore<TcpLease> _core = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _registration;
    private int _unfetched = Fetched;

    /// <summary>The pool that is waited on.</summary>
    public ConnectionPool? Pool { get; private set; }

    /// <summary>On the pool clock; <see cref="TimeSpan.MaxValue"/> for never.</summary>
    public TimeSpan Deadline { get; private set; }

    public TimeSpan Timeout { get; private set; }

    /// <summary>On the pool clock.</summary>
    public TimeSpan EnqueuedAt { get; private set; }

    /// <summary>How long it was queued. Settled when it leaves the queue, under the pool's gate.</summary>
    public TimeSpan WaitedFor { get; set; }

    public CancellationToken CancellationToken { get; private set; }

    /// <summary>Where the rent was called; null unless leases remember that.</summary>
    public StackTrace? Renter { get; private set; }

    /// <summary>What is to be told of the wait; null when nobody wants to know. Written before it is queued.</summary>
    public WaitFacts? Facts { get; set; }

    // The rest belongs to the queue and is touched under the pool's gate only.

    public Waiter? Next { get; set; }

    public Waiter? Previous { get; set; }

    public bool IsQueued { get; set; }

    /// <summary>The dial that was started for this waiter or passed to it, while it is running.</summary>
    public Dial? Dial { get; set; }

    public ValueTask<TcpLease> Task => new(this, _core.Version);

    public void Prepare(ConnectionPool pool, TimeSpan now, TimeSpan timeout, StackTrace? renter, CancellationToken cancellationToken)
    {
        Pool = pool;
        EnqueuedAt = now;
        Timeout = timeout;
        Deadline = timeout == System.Threading.Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : now + timeout;
        Renter = renter;
        CancellationToken = cancellationToken;
        _unfetched = _core.Version;
    }

    /// <summary>Call it once the waiter is queued: a token that is cancelled already runs the callback here and now.</summary>
    public void WatchCancellation()
    {
        if (CancellationToken.CanBeCanceled)
        {
            _registration = CancellationToken.UnsafeRegister(
                static state =>
                {
                    Waiter waiter = (Waiter)state!;
                    waiter.Pool!.Cancel(waiter);
                },
                this);
        }
    }

    /// <summary>With a connection whose lease has begun.</summary>
    public void Succeed(TcpConnection connection)
    {
        // Before: once it is told, the waiter may belong to another rent, and the lease be over.
        Pool!.ObserveServed(this, connection);
        _core.SetResult(new TcpLease(connection.LendHandle()));
    }

    public void Fail(Exception exception)
    {
        Pool!.ObserveFailed(this, exception);
        _core.SetException(exception);
    }

    /// <summary>Gives back a waiter that was prepared but never queued.</summary>
    public void Recycle()
    {
        Debug.Assert(!IsQueued && Dial is null, "A waiter is not recycled before it left the queue.");
        Pool = null;
        CancellationToken = default;
        Renter = null;
        Facts = null;
        SpareWaiters.Return(this);
    }

    TcpLease IValueTaskSource<TcpLease>.GetResult(short token)
    {
        // Too early, or twice, however that races: waiters are the whole process's, and one that was given back twice would
        // bring one caller's connection to another.
        if (_core.GetStatus(token) == ValueTaskSourceStatus.Pending
            || Interlocked.CompareExchange(ref _unfetched, Fetched, token) != token)
        {
            throw new InvalidOperationException("A rent's ValueTask is awaited once, and its result is not read before it has completed.");
        }

        // Waits for a cancellation callback that is running just now: after this nothing but the caller knows the waiter.
        _registration.Dispose();
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            _registration = default;
            _core.Reset();
            Recycle();
        }
    }

    ValueTaskSourceStatus IValueTaskSource<TcpLease>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<TcpLease>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
