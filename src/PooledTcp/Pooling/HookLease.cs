using PooledTcp.Connections;
using PooledTcp.Shutdown;

namespace PooledTcp.Pooling;

/// <summary>
/// Lends a connection that the pool owns to one of the endpoint's hooks (handshake, reset) and takes it back, whatever the
/// hook does with the lease.
/// </summary>
internal sealed class HookLease : ILeaseOwner
{
    private volatile bool _ended;

    private HookLease()
    {
    }

    /// <summary>
    /// Runs <paramref name="hook"/>; the connection is the pool's again when the task ends. Throws what the hook threw, or
    /// <see cref="InvalidOperationException"/> when it left the connection in a state that must not be lent. The caller
    /// then closes the connection, which also ends a hook that ignores its token.
    /// </summary>
    public static async Task<T> RunAsync<T>(
        TcpConnection connection, Func<TcpLease, CancellationToken, ValueTask<T>> hook, CancellationToken cancellationToken)
    {
        HookLease owner = new();
        connection.HandTo(owner);
        connection.LendDirectly();
        connection.BeginHookLease();
        long version = connection.CurrentVersion;
        CloseReason? fault;
        bool misused;
        T result;
        try
        {
            // On a thread of its own: a hook that blocks must not keep us past the budget.
            TcpLease lease = new(connection.HandleForHook, version);
            Task<T> run = Task.Run(() => hook(lease, cancellationToken).AsTask(), CancellationToken.None);
            run.ObserveFault(); // we do not wait for the end of a hook that ignores its token
            result = await run.WaitAsync(cancellationToken).ConfigureAwait(false);

            // One-way hooks are fine (a PROXY header has no reply): the author of a hook knows the protocol.
            fault = connection.FindFault(version, allowOneWay: true);
        }
        finally
        {
            bool inFlight = !connection.TryEndAny(version, out long flags) || (flags & LeaseWord.InFlight) != 0;
            misused = inFlight || owner._ended;
            if (!inFlight)
            {
                // Only when no operation uses their buffers any more, as at every return.
                connection.ReleasePipes(version);
            }

            connection.RenewHandle();
        }

        if (misused)
        {
            throw new InvalidOperationException(
                "The hook disposed or discarded its lease, or left an operation in flight: the lease belongs to the pool.");
        }

        return fault is null
            ? result
            : throw new InvalidOperationException($"The hook left the connection unfit for a caller ({fault}).");
    }

    void ILeaseOwner.Return(TcpConnection connection, LeaseHandle handle, long version, bool discard)
    {
        if (connection.TryEndAny(version, out _))
        {
            _ended = true;
        }
    }
}
