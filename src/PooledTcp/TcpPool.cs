using PooledTcp.Pooling;
using PooledTcp.Shutdown;

namespace PooledTcp;

/// <summary>
/// The pool of one endpoint, as its callers see it: a handle that stays valid as long as its client, and that nobody
/// disposes. Get it from <see cref="PooledTcpClient.GetPool(string)"/>, or inject it by key. Thread-safe.
/// </summary>
public sealed partial class TcpPool
{
    private volatile WarmPath _warm;

    internal TcpPool(WarmPath warm) => _warm = warm;

    /// <summary>The endpoint's configured name, or the address (and partition) of an ad hoc pool.</summary>
    public string Name => Core.Name;

    /// <summary>Finds or makes the successor of an ad hoc pool that has retired. A configured one never does.</summary>
    internal Func<ConnectionPool>? Successor { get; set; }

    internal WarmPath Warm => _warm;

    internal ConnectionPool Core => _warm.Pool;

    /// <summary>
    /// The pool that is in use: an ad hoc one that has retired was succeeded by one that other handles talk to, and this
    /// handle must see, clear and resume the same connections.
    /// </summary>
    private ConnectionPool Current => Core.IsRetired ? Renew() : Core;

    /// <summary>
    /// Rents a connection: an idle one at once, else the first that is returned or dialed, in the order of the callers,
    /// within <c>RentTimeout</c>. A warm rent completes synchronously and allocates nothing.
    /// </summary>
    /// <param name="cancellationToken">Leaves the queue; a dial that was started for this caller goes on for the next.</param>
    /// <exception cref="RentTimeoutException">No connection became available in time.</exception>
    /// <exception cref="PoolQueueFullException"><c>MaxWaiters</c> callers are waiting already.</exception>
    /// <exception cref="EndpointUnavailableException">The dial for this caller failed.</exception>
    /// <exception cref="LocalPortsExhaustedException">No local port became free for this endpoint in time.</exception>
    /// <exception cref="PoolClosedException">The client is draining or disposed.</exception>
    /// <exception cref="OperationCanceledException">The token fired.</exception>
    public ValueTask<TcpLease> RentAsync(CancellationToken cancellationToken = default) =>
        !cancellationToken.IsCancellationRequested && _warm.TryRent() is { } handle
            ? new ValueTask<TcpLease>(new TcpLease(handle))
            : RentSlowly(timeout: null, cancellationToken);

    /// <inheritdoc cref="RentAsync(CancellationToken)"/>
    /// <param name="timeout">
    /// Replaces <c>RentTimeout</c> for this rent: zero or more, up to 24 days, or <see cref="Timeout.InfiniteTimeSpan"/>.
    /// </param>
    /// <param name="cancellationToken">Leaves the queue; a dial that was started for this caller goes on for the next.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="timeout"/> is out of range.</exception>
    public ValueTask<TcpLease> RentAsync(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        if ((timeout < TimeSpan.Zero && timeout != Timeout.InfiniteTimeSpan) || timeout.TotalMilliseconds > int.MaxValue)
        {
            throw new ArgumentOutOfRangeException(
                nameof(timeout), timeout, "A rent's timeout is zero or more, at most 24 days, or Timeout.InfiniteTimeSpan.");
        }

        return !cancellationToken.IsCancellationRequested && _warm.TryRent() is { } handle
            ? new ValueTask<TcpLease>(new TcpLease(handle))
            : RentSlowly(timeout, cancellationToken);
    }

    /// <summary>Rents an idle connection if there is one and nobody waits for it. Never waits, never dials.</summary>
    /// <param name="lease">The lease; <c>default</c> when there was none.</param>
    /// <returns>True when <paramref name="lease"/> holds a connection.</returns>
    public bool TryRent(out TcpLease lease)
    {
        if ((_warm.TryRent() ?? (Core.IsRetired ? Renew().Warm.TryRent() : null)) is { } handle)
        {
            lease = new TcpLease(handle);
            return true;
        }

        lease = default;
        return false;
    }

    /// <summary>
    /// Opens connections, MaxConnecting at a time, until <paramref name="count"/> are open (idle or used), so that the first
    /// callers find them warm. A paused pool dials nothing, so this waits until <see cref="Resume"/>, without limit, and so it
    /// does while MaxTotalConnections leaves no place: pass a token that ends the wait.
    /// </summary>
    /// <param name="count">1 to MaxConnections, and to MaxTotalConnections.</param>
    /// <param name="cancellationToken">Stops waiting; dials that are running go on.</param>
    /// <exception cref="EndpointUnavailableException">A dial failed; the ones that succeeded stay.</exception>
    /// <exception cref="LocalPortsExhaustedException">No local port is free; the connections that were opened stay.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is below 1 or above MaxConnections or MaxTotalConnections.</exception>
    /// <exception cref="PoolClosedException">The client is draining or disposed, or its host is stopping.</exception>
    public Task WarmUpAsync(int count, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        Task task;
        while (!Core.TryWarmUp(count, cancellationToken, out task))
        {
            Renew();
        }

        return task;
    }

    /// <summary>
    /// Closes every connection opened so far: idle ones now, leased ones when they come back. Callers who wait are served
    /// by new connections. For a failover, a changed password, a poisoned session.
    /// </summary>
    /// <param name="interruptLeases">
    /// Close leased ones now as well: their operations fail with <see cref="ConnectionFaultedException"/>.
    /// </param>
    public void Clear(bool interruptLeases = false) => Current.Clear(CloseReason.Cleared, interruptLeases);

    /// <summary>
    /// Lets rents wait (and time out) until <see cref="Resume"/>, for a maintenance window of the server. Leases go on, and
    /// what is returned stays idle.
    /// </summary>
    public void Pause()
    {
        while (!Core.TryPause())
        {
            Renew();
        }
    }

    /// <summary>Ends <see cref="Pause"/>: who waits is served, oldest first.</summary>
    public void Resume() => Current.TryResume();

    /// <summary>The pool's numbers at this moment.</summary>
    public TcpPoolSnapshot GetSnapshot() => Current.GetSnapshot();

    /// <summary>The pool's name.</summary>
    public override string ToString() => Name;

    private ValueTask<TcpLease> RentSlowly(TimeSpan? timeout, CancellationToken cancellationToken)
    {
        ValueTask<TcpLease> rent;
        while (!Core.TryEnqueue(timeout, cancellationToken, out rent))
        {
            // This ad hoc pool was unused for a while and has gone; find its successor, or make it.
            Renew();
        }

        return rent;
    }

    private ConnectionPool Renew()
    {
        ConnectionPool pool = Successor!();
        _warm = pool.Warm;
        return pool;
    }
}
