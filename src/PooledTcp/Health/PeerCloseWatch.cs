using PooledTcp.Connections;

namespace PooledTcp.Health;

/// <summary>
/// Learns of the peer's FIN or RST the moment it arrives: one epoll set and one thread for all pools of a client. Each
/// connection joins once in its life, before it is idle for the first time, so no later rent or return costs a system call
/// for it (tcp-facts section 4).
/// Linux; elsewhere <see cref="NoPeerCloseWatch"/>.
/// </summary>
/// <remarks>
/// <para>
/// <b>One per client, not per process.</b> A client is meant to be one per process anyway; its own watch needs no shared
/// count of pools, ends where the client ends, and a fault in one cannot blind another.
/// </para>
/// <para>
/// <b>The tag is the connection's place here and its id</b>, never the descriptor: numbers are reused, and an event read before
/// a close may be served after the number belongs to another socket. A place is reused, too, but an id never is, so the tag of
/// one that was forgotten finds nobody. (A place is an array's element; a dictionary by id took 80 bytes more for each
/// connection, measured.)
/// For the same reason there is no EPOLL_CTL_DEL: the kernel removes a socket with its last descriptor. A duplicate (a
/// child between fork and exec) keeps the registration a little longer; its events find nobody, either.
/// </para>
/// <para>
/// <b>The thread roots nothing.</b> It knows the watch weakly: a client that was forgotten without being disposed is collected
/// with its pools and connections as if nobody watched them, and the finalizer ends the thread. It is a background thread of its own, not the thread pool's: it blocks for most of
/// its life, and has to be there when the thread pool is busy.
/// </para>
/// </remarks>
internal sealed class PeerCloseWatch : IPeerCloseWatch
{
    private const int StackSize = 256 * 1024;

    /// <summary>Of a tag, the connection's place; the rest is its id, of which 40 bits are enough for a million dials a second over 12 days in a row.</summary>
    private const int PlaceBits = 24;
    private const int MaxPlaces = 1 << PlaceBits;

    private readonly Lock _gate = new();

    // Under the gate only.
    private readonly Stack<int> _free = new();
    private Entry[] _entries = new Entry[8];
    private int _used;
    private EpollSet? _set;
    private bool _disposed;

    /// <summary>A client that was forgotten. The set is the thread's, so it is alive still, and only it has anything to close.</summary>
#pragma warning disable MA0055 // Nothing else ends a thread that waits in the kernel
    ~PeerCloseWatch() => _set?.Wake();
#pragma warning restore MA0055

    /// <summary>For tests: the thread that waits, null before the first connection joins.</summary>
    internal Thread? Reader { get; private set; }

    /// <summary>For tests: what it waits at, null before the first connection joins and after the thread's end.</summary>
    internal EpollSet? Set => Volatile.Read(ref _set);

    /// <summary>How many connections are watched.</summary>
    internal int Count
    {
        get
        {
            lock (_gate)
            {
                return _used - _free.Count;
            }
        }
    }

    public bool TryAdd(TcpConnection connection, IPeerCloseSink sink)
    {
        if (connection.Transport.Handle is not { } handle || TryStart() is not { } set)
        {
            return false;
        }

        // Before the registration, which reports at once what has happened already.
        if (TryList(connection, sink) is { } tag)
        {
            if (set.TryAddSocket(handle, tag))
            {
                return true;
            }

            Forget(connection);
        }

        return false;
    }

    public void Forget(TcpConnection connection)
    {
        lock (_gate)
        {
            int place = connection.WatchIndex;
            if (place >= 0)
            {
                connection.WatchIndex = -1;
                _entries[place] = default;
                _free.Push(place);
            }
        }
    }

    /// <summary>Ends the thread. What is still watched is so no more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _set?.Wake();
            Array.Clear(_entries);
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>The set, made with the first connection that joins: a client without has no thread.</summary>
    private EpollSet? TryStart()
    {
        if (Volatile.Read(ref _set) is { } running)
        {
            return running;
        }

        lock (_gate)
        {
            if (_disposed || _set is not null)
            {
                return _disposed ? null : _set;
            }

            EpollSet? set = EpollSet.TryOpen();
            if (set is null)
            {
                return null;
            }

            try
            {
                WeakReference<PeerCloseWatch> self = new(this);
                Reader = new Thread(() => Read(set, self), StackSize) { IsBackground = true, Name = "PooledTcp peer-close watch" };

                // Unsafe: not on the execution context of the caller who happened to return the first connection.
                Reader.UnsafeStart();
            }
            catch (Exception e) when (e is ThreadStartException or OutOfMemoryException)
            {
                // No thread is to be had now; the next connection tries again.
                set.Dispose();
                return null;
            }

            Volatile.Write(ref _set, set);
            return set;
        }
    }

    /// <summary>A place for it, and the tag of that; null when there is none.</summary>
    private ulong? TryList(TcpConnection connection, IPeerCloseSink sink)
    {
        lock (_gate)
        {
            if (_disposed || connection.WatchIndex >= 0 || (_free.Count == 0 && _used == MaxPlaces))
            {
                return null;
            }

            if (!_free.TryPop(out int place))
            {
                if (_used == _entries.Length)
                {
                    Array.Resize(ref _entries, 2 * _used);
                }

                place = _used++;
            }

            connection.WatchIndex = place;
            _entries[place] = new Entry(sink, connection);
            return TagOf(connection);
        }
    }

    /// <summary>Whose tag it is; nobody's for one that was forgotten since. Ids begin at 1, so no tag is <see cref="EpollSet.WakeTag"/>.</summary>
    private Entry Find(ulong tag)
    {
        lock (_gate)
        {
            Entry entry = _entries[(int)(tag & (MaxPlaces - 1))];
            return entry.Connection is { } connection && TagOf(connection) == tag ? entry : default;
        }
    }

    private static ulong TagOf(TcpConnection connection) => ((ulong)connection.Id << PlaceBits) | (uint)connection.WatchIndex;

    private static void Read(EpollSet set, WeakReference<PeerCloseWatch> self)
    {
        Span<ulong> tags = stackalloc ulong[EpollSet.MostTags];
        while (set.TryWait(tags, out int count))
        {
            if (!TryServe(self, tags[..count]))
            {
                break;
            }
        }

        // Disposed here and not by who ends the watch: no other thread pulls the set from under the wait.
        set.Dispose();
        if (self.TryGetTarget(out PeerCloseWatch? watch))
        {
            watch.OnEnded(set);
        }
    }

    /// <summary>False when the watch is disposed, or forgotten. In a method of its own, so that no frame keeps it alive during the wait.</summary>
    private static bool TryServe(WeakReference<PeerCloseWatch> self, ReadOnlySpan<ulong> tags)
    {
        if (!self.TryGetTarget(out PeerCloseWatch? watch) || watch._disposed)
        {
            return false;
        }

        foreach (ulong tag in tags)
        {
            if (watch.Find(tag) is ({ } sink, { } connection))
            {
                try
                {
                    sink.OnPeerClosed(connection);
                }
                catch (Exception)
                {
                    // A defect in one sink must not blind the others. The connection is found dead by its next rent.
                    connection.IsWatched = false;
                }
            }
        }

        return true;
    }

    /// <summary>
    /// The set broke under its reader: connections that were in it are the sweep's from now on, new ones make another set.
    /// </summary>
    private void OnEnded(EpollSet set)
    {
        lock (_gate)
        {
            if (_set == set)
            {
                Volatile.Write(ref _set, null);
            }

            foreach (Entry entry in _entries)
            {
                entry.Connection?.IsWatched = false;
            }
        }
    }

    /// <summary>Both are null in a place that is free.</summary>
    private readonly record struct Entry(IPeerCloseSink Sink, TcpConnection? Connection);
}
