using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Tests.Fakes;

/// <summary>
/// What several connectors have open or are opening, counted at each dial: the only moment at which it can grow, so the
/// peak is exact.
/// </summary>
internal sealed class CountedSockets
{
    private readonly List<Entry> _entries = [];
    private int _peak;

    public int Peak
    {
        get
        {
            lock (_entries)
            {
                return _peak;
            }
        }
    }

    public int Now
    {
        get
        {
            lock (_entries)
            {
                return Count();
            }
        }
    }

    /// <summary>Forgets the peak so far: the limit was lowered. Under the lock, or a dial that begins just now brings it back.</summary>
    public void Restart()
    {
        lock (_entries)
        {
            _peak = 0;
        }
    }

    public IConnector Of(FakeConnector connector) => new Counting(connector, this);

    private Entry Begin(CancellationToken cancellationToken)
    {
        Entry entry = new(cancellationToken);
        lock (_entries)
        {
            _entries.Add(entry);
            _peak = Math.Max(_peak, Count());
        }

        return entry;
    }

    private int Count()
    {
        _entries.RemoveAll(static e => !e.IsLive);
        return _entries.Count;
    }

    /// <summary>A dial that was given up is nobody's: the pool counts it until its token fires, and so does this.</summary>
    private sealed class Entry(CancellationToken cancellationToken)
    {
        private volatile bool _failed;
        private volatile FakeTransport? _opened;

        public bool IsLive => !_failed && !cancellationToken.IsCancellationRequested && _opened is not { IsClosed: true };

        public void Opened(FakeTransport transport) => _opened = transport;

        public void Failed() => _failed = true;
    }

    private sealed class Counting(FakeConnector connector, CountedSockets sockets) : IConnector
    {
        public async ValueTask<Transport> ConnectAsync(PoolSettings settings, DialRace race, CancellationToken cancellationToken)
        {
            Entry entry = sockets.Begin(cancellationToken);
            try
            {
                Transport transport = await connector.ConnectAsync(settings, race, cancellationToken);
                entry.Opened((FakeTransport)transport);
                return transport;
            }
            catch
            {
                entry.Failed();
                throw;
            }
        }
    }
}
