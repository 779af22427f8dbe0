using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using PooledTcp.Connections;

namespace PooledTcp.Health;

/// <summary>
/// Learns of the peer's FIN or RST the moment it arrives: one epoll set and one thread for all pools of a client. Each
/// connection joins once in its life, so neither a rent nor a return costs a system call for it (tcp-facts section 4).
/// Linux; elsewhere <see cref="NoPeerCloseWatch"/>.
/// </summary>
/// <remarks>
/// <para>
/// <b>One per client, not per process.</b> A client is meant to be one per process anyway; its own watch needs no shared
/// count of pools, ends where the client ends, and a fault in one cannot blind another.
/// </para>
/// <para>
/// <b>The tag is the connection's id</b>, never the descriptor: numbers are reused, and an event read before a close may be
/// served after the number belongs to another socket. An id is never reused, and one that was forgotten finds nobody.
/// For the same reason there is no EPOLL_CTL_DEL: the kernel removes a socket with its last descriptor. A duplicate (a
/// child between fork and exec) keeps the registration a little longer; its events find nobody, either.
/// </para>
/// <para>
/// <b>The thread roots nothing.</b> It knows the watch weakly, and the watch knows connections weakly: a leased connection
/// that its holder lost, and a client that was forgotten without being disposed, are collected as if nobody watched them,
/// and the finalizer ends the thread. It is a background thread of its own, not the thread pool's: it blocks for most of
/// its life, and has to be there when the thread pool is busy.
/// </para>
/// </remarks>
internal sealed class PeerCloseWatch : IPeerCloseWatch
{
    private const int StackSize = 256 * 1024;

    private readonly ConcurrentDictionary<long, Entry> _entries = new();
    private readonly Lock _gate = new();
    private EpollSet? _set;
    private bool _disposed;

    /// <summary>A client that was forgotten. The set is the thread's, so it is alive still, and only it has anything to close.</summary>
#pragma warning disable MA0055 // Nothing else ends a thread that waits in the kernel
    ~PeerCloseWatch() => _set?.Wake();
#pragma warning restore MA0055

    /// <summary>For tests: the thread that waits, null before the first connection.</summary>
    internal Thread? Reader { get; private set; }

    /// <summary>For tests: what it waits at, null before the first connection and after the thread's end.</summary>
    internal EpollSet? Set => Volatile.Read(ref _set);

    /// <summary>How many connections are watched.</summary>
    internal int Count => _entries.Count;

    public bool TryAdd(TcpConnection connection, IPeerCloseSink sink)
    {
        if (connection.Transport.Handle is not { } handle || TryStart() is not { } set)
        {
            return false;
        }

        // Before the registration, which reports at once what has happened already.
        _entries[connection.Id] = new Entry(sink, new WeakReference<TcpConnection>(connection));
        if (set.TryAddSocket(handle, (ulong)connection.Id))
        {
            return true;
        }

        _entries.TryRemove(connection.Id, out _);
        return false;
    }

    public void Forget(TcpConnection connection) => _entries.TryRemove(connection.Id, out _);

    /// <summary>Ends the thread. What is still watched is so no more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _set?.Wake();
        }

        _entries.Clear();
        GC.SuppressFinalize(this);
    }

    /// <summary>The set, made with the first connection: a client that opens none has no thread.</summary>
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

                // Unsafe: not on the execution context of the caller who happened to open the first connection.
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
            if (tag != EpollSet.WakeTag && watch._entries.TryGetValue((long)tag, out Entry entry) && entry.Connection.TryGetTarget(out TcpConnection? connection))
            {
                try
                {
                    entry.Sink.OnPeerClosed(connection);
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
        }

        foreach (Entry entry in _entries.Values)
        {
            if (entry.Connection.TryGetTarget(out TcpConnection? connection))
            {
                connection.IsWatched = false;
            }
        }
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Entry(IPeerCloseSink Sink, WeakReference<TcpConnection> Connection);
}
