using System.Collections.Concurrent;
using PooledTcp.Connections;
using PooledTcp.Health;

namespace PooledTcp.Tests.Fakes;

/// <summary>A watcher whose events the test raises, on the test's own thread.</summary>
internal sealed class FakePeerWatch : IPeerCloseWatch
{
    private readonly ConcurrentDictionary<long, (TcpConnection Connection, IPeerCloseSink Sink)> _watched = new();

    /// <summary>The next registrations fail.</summary>
    public bool Fails { get; set; }

    /// <summary>Runs inside each registration.</summary>
    public Action<TcpConnection>? OnAdd { get; set; }

    /// <summary>The same, while the connection is not known yet.</summary>
    public Action? BeforeAdd { get; set; }

    public int Count => _watched.Count;

    public bool TryAdd(TcpConnection connection, IPeerCloseSink sink)
    {
        if (Fails)
        {
            return false;
        }

        BeforeAdd?.Invoke();
        _watched[connection.Id] = (connection, sink);
        OnAdd?.Invoke(connection);
        if (connection.Transport.PeerClosed)
        {
            // As the kernel: what happened before is reported.
            sink.OnPeerClosed(connection);
        }

        return true;
    }

    public void Forget(TcpConnection connection) => _watched.TryRemove(connection.Id, out _);

    /// <summary>The peer's FIN arrives, and its event.</summary>
    public void CloseByPeer(long id)
    {
        ((FakeTransport)_watched[id].Connection.Transport).PeerClosesNow();
        Raise(id);
    }

    /// <summary>An event, whatever the kernel says.</summary>
    public void Raise(long id) => _watched[id].Sink.OnPeerClosed(_watched[id].Connection);

    /// <summary>An event for each connection there is, as they come.</summary>
    public void RaiseAll()
    {
        foreach ((TcpConnection connection, IPeerCloseSink sink) in _watched.Values)
        {
            sink.OnPeerClosed(connection);
        }
    }

    public long? AnyId() => _watched.Keys.Cast<long?>().FirstOrDefault();

    /// <summary>As <see cref="CloseByPeer"/>, unless the connection has left meanwhile.</summary>
    public void TryCloseByPeer(long id)
    {
        if (_watched.TryGetValue(id, out var watched))
        {
            ((FakeTransport)watched.Connection.Transport).PeerClosesNow();
            watched.Sink.OnPeerClosed(watched.Connection);
        }
    }

    public TcpConnection Find(long id) => _watched[id].Connection;

    public void Dispose() => _watched.Clear();
}
