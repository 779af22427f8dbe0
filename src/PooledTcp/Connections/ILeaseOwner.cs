namespace PooledTcp.Connections;

/// <summary>Who gets a connection back when its lease ends: the pool, or the dial that is still setting it up.</summary>
internal interface ILeaseOwner
{
    /// <summary>
    /// Ends a lease that <see cref="TcpConnection.IsPlainlyCompleted"/>, from the very word that was seen then. False when it has
    /// changed, or when there is more to do: then <see cref="Return"/> decides.
    /// </summary>
    bool TryReturnPlainly(TcpConnection connection, long seen) => false;

    /// <summary>
    /// Ends the lease that was given <paramref name="version"/>; does nothing when it has ended already, so that a second
    /// dispose or one by a stale copy is harmless. Never throws, and waits for nothing but the gates of the pool and its watch.
    /// </summary>
    /// <param name="connection">Whose lease ends.</param>
    /// <param name="handle">The lease's, which the connection may have let go of.</param>
    /// <param name="version">Which lease.</param>
    /// <param name="discard">Close it whatever the caller said before, or another thread says meanwhile.</param>
    void Return(TcpConnection connection, LeaseHandle handle, long version, bool discard);
}
