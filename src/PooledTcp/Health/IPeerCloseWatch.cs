using PooledTcp.Connections;

namespace PooledTcp.Health;

/// <summary>Tells a pool when the peer of one of its connections closes. The seam that the race tests force events through.</summary>
internal interface IPeerCloseWatch : IDisposable
{
    /// <summary>
    /// Watches a connection until it is forgotten. False when nothing watches it: then the pool's sweep has to look itself.
    /// A FIN or RST that came before this call is still reported, possibly before it returns.
    /// </summary>
    bool TryAdd(TcpConnection connection, IPeerCloseSink sink);

    /// <summary>The connection has left its pool. The descriptor may be open or closed, watched or not.</summary>
    void Forget(TcpConnection connection);
}

/// <summary>Who is told: the pool.</summary>
internal interface IPeerCloseSink
{
    /// <summary>
    /// The kernel reported something about this connection that may be the peer's close. Called on the watcher's thread,
    /// which serves everybody: it must not block, wait for a lock, or run anybody else's code.
    /// </summary>
    void OnPeerClosed(TcpConnection connection);
}

/// <summary>Where there is no epoll: every connection is left to the sweep.</summary>
internal sealed class NoPeerCloseWatch : IPeerCloseWatch
{
    public static readonly NoPeerCloseWatch Instance = new();

    public bool TryAdd(TcpConnection connection, IPeerCloseSink sink) => false;

    public void Forget(TcpConnection connection)
    {
    }

    public void Dispose()
    {
    }
}
