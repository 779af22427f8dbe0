using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Health;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// The connections to one endpoint and who gets which, when. This part holds the state and the warm path; the others hold
/// waiting, dialing, closing and upkeep.
/// </summary>
/// <remarks>
/// <para>
/// <b>The warm path takes no lock</b>, but for the return after which a connection is idle for the first time. A rent takes an idle
/// connection by one compare-and-swap on its word, a return publishes it by another. Everything else (queue, dials, counts, state changes) happens under <see cref="_gate"/>, where
/// nothing slow runs: no socket call, no log, no continuation, no user code.
/// </para>
/// <para>
/// <b>No wake-up is lost.</b> While the detour is not zero (someone waits, the pool is paused, shrinking or
/// shutting down) rents and returns go through the gate. A return publishes its connection and then reads the detour and
/// the generation; a waiter (or Clear, or a shutdown) publishes itself there and then looks at the idle connections. Both
/// publications are full fences, so at least one of the two sees the other.
/// </para>
/// <para>
/// <b>Counting.</b> <see cref="_open"/> (idle and used), <see cref="_connecting"/> and <see cref="_closing"/> change under
/// the gate only; idle is counted by looking at the words, used is the rest. So they always sum to the live sockets, and
/// none can be negative.
/// </para>
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "_closed has no timer and no handle: nothing of it needs disposing.")]
internal sealed partial class ConnectionPool : IPeerCloseSink
{
    private readonly Lock _gate = new();
    private readonly ConnectionTable _table = new();
    private readonly WarmPath _warm;
    private readonly WaiterQueue _waiters = new();

    /// <summary>Fires when the pool closes, for hooks that are running.</summary>
    private readonly CancellationTokenSource _closed = new();

    // Written under the gate, read without it by the warm path.
    private volatile PoolSettings _settings;
    private volatile int _generation;

    // Under the gate only.
    private PoolState _state;
    private bool _paused;
    private CloseReason _generationReason = CloseReason.Cleared;
    private int _open;
    private int _connecting;
    private int _closing;

    public ConnectionPool(
        string name, bool isAdHoc, PoolSettings settings, IConnector connector, EndpointHooks hooks, PoolServices services, WarmPath? warm = null)
    {
        Name = name;
        IsAdHoc = isAdHoc;
        Connector = connector;
        Hooks = hooks;
        Services = services;
        _cap = services.Cap;
        _warm = warm ?? new WarmPath(services);
        _warm.Open(this, new IdleStack(_table), settings.MaxConnections);
        Log = isAdHoc ? services.SharedLogger : new ThrottledLogger(services.Logger, services.Clock.Time);
        _share = new CapShare(this);
        _settings = settings;
        ResetRoutes(settings);
        _telemetry = new PoolTelemetry(services.Telemetry, this, name, isAdHoc, settings.Address);
        RefreshDetour();
    }

    public string Name { get; }

    /// <summary>Made for an address, not for a configured name: it goes away when unused.</summary>
    public bool IsAdHoc { get; }

    public IConnector Connector { get; }

    public EndpointHooks Hooks { get; }

    public PoolServices Services { get; }

    public WarmPath Warm => _warm;

    private ref IdleStore Idle => ref _warm.Idle;

    /// <summary>One second per kind of event; ad hoc pools share it, as their number has no bound.</summary>
    private ILogger Log { get; }

    public PoolSettings Settings => _settings;

    /// <summary>The rent of a connection that was taken from idle and is to be looked at closer, or told of.</summary>
    /// <param name="connection">Taken, and lent to nobody yet.</param>
    /// <param name="verdict">Of the transport's check, if that was made already.</param>
    public LeaseHandle? TryLend(TcpConnection connection, IdleVerdict? verdict)
    {
        TcpConnection? candidate = connection;
        do
        {
            if (IsUsable(candidate, verdict))
            {
                return Lend(candidate, CaptureRenter());
            }

            verdict = null;
        }
        while ((_warm.Detour & Detour.ConcernsRents) == Detour.None && (candidate = Idle.TryTake()) is not null);

        return null;
    }

    /// <summary>The lease of an idle connection that was taken and found good.</summary>
    private LeaseHandle Lend(TcpConnection connection, StackTrace? renter)
    {
        bool isObserved = _telemetry.ObservesRents;
        if (isObserved)
        {
            // The lease begins on the coarse clock, which may be a second old: now it is 10 us at most.
            Services.Clock.Read();
        }

        connection.BeginLease(renter, isObserved);
        if (isObserved && _telemetry.RentedAtOnce(connection.Facts) is { } span)
        {
            connection.GiveSpan(span);
        }

        return connection.LendHandle();
    }

    /// <summary>
    /// The rent's check on a connection that was just taken from idle. When it fails, the connection is closed here and the
    /// caller looks for another.
    /// </summary>
    /// <param name="connection">Nobody's at the moment.</param>
    /// <param name="verdict">Of the transport's check, if that was made already.</param>
    private bool IsUsable(TcpConnection connection, IdleVerdict? verdict = null)
    {
        CloseReason? fault = null;
        if (FindOutdated(connection) is { } outdated)
        {
            fault = outdated;
        }
        else if (connection.PeerHasClosed)
        {
            // The watcher lost the race for the word, or the connection was on its way in or out of the stack.
            fault = CloseReason.PeerClosed;
        }
        else if (connection.Uses >= _settings.MaxUses)
        {
            // It went idle under a higher limit.
            fault = CloseReason.MaxUses;
        }
        else if (connection.IsMarked(Marks.ExpiresSoon))
        {
            fault = FindFaultByTheClock(connection, Services.Clock.Read());
        }

        fault ??= Judge(verdict ?? connection.Transport.CheckIdle());
        if (fault is { } reason)
        {
            if (reason == CloseReason.PeerClosed)
            {
                // As in RemoveClosedByPeer, which it would have come to a moment later.
                NoteIfUnused(connection);
                NoteIdleClose(connection);
            }

            Remove(connection, reason);
            return false;
        }

        return true;
    }

    /// <summary>Why a completed connection must not be lent again; null when it may. Its buffers are not looked at here.</summary>
    private CloseReason? FindReturnFault(TcpConnection connection, long version)
    {
        PoolSettings settings = _settings;
        if (connection.FindFault(version, settings.AllowOneWay) is { } fault)
        {
            return fault;
        }

        if (FindOutdated(connection) is { } outdated)
        {
            return outdated;
        }

        if (connection.PeerHasClosed)
        {
            return CloseReason.PeerClosed;
        }

        if (connection.Uses >= settings.MaxUses)
        {
            return CloseReason.MaxUses;
        }

        return connection.IsMarked(Marks.ExpiresSoon) ? FindExpiry(connection, Services.Clock.Read(), wasIdle: false) : null;
    }

    /// <summary>
    /// The return of a connection that is faulty, was not completed, has pipes or TLS, is wanted by someone, or has let go of the
    /// lease's handle.
    /// </summary>
    public void ReturnCarefully(TcpConnection connection, LeaseHandle handle, long version, bool discard)
    {
        if (connection.TakeSpan(version) is { } span)
        {
            PoolSpans.StopBeside(span);
        }

        if (!connection.TryEndAny(version, out long flags))
        {
            return;
        }

        if ((flags & LeaseWord.LetGo) != 0)
        {
            lock (_gate)
            {
                connection.TakeBackHandle(handle);
            }
        }

        if (connection.ObservedSince is { } rentedAt)
        {
            ObserveReturn(rentedAt);
        }

        // From here the connection is the pool's alone, so its pipes can be released and its TLS parked without a race.
        CloseReason? fault = discard || !connection.WasCompletedAt(flags) ? connection.ReasonNotCompleted()
            : (flags & LeaseWord.InFlight) != 0 ? CloseReason.ReturnedDirty
            : FindReturnFault(connection, version);

        // An operation in flight still reads into the pipe's buffers, or sends from them: given back now, they would be
        // somebody else's when its bytes arrive. The garbage collector gets those.
        if ((flags & LeaseWord.InFlight) == 0)
        {
            connection.ReleasePipes(version);
        }

        if (fault is { } reason)
        {
            Remove(connection, reason);
            if (reason == CloseReason.Leaked)
            {
                ReportLeak(connection);
            }
        }
        else if (Hooks.Reset is not null)
        {
            connection.EndExtras();

            // Not on the returner's stack, nor in its execution context: this is the pool's work.
            ThreadPool.UnsafeQueueUserWorkItem(
                static work => _ = work.Pool.ResetAsync(work.Connection, work.Pool.Hooks.Reset!), (Pool: this, Connection: connection), preferLocal: false);
        }
        else
        {
            connection.EndExtras();
            Recycle(connection);
        }
    }

    /// <summary>A clean connection that the pool owns: parked, then to the oldest waiter or to idle.</summary>
    private void Recycle(TcpConnection connection)
    {
        if (!connection.Transport.TryPark())
        {
            // A fresh one: the server speaks first, and nobody listens.
            NoteIfUnused(connection);
            Remove(connection, CloseReason.ReturnedDirty);
            return;
        }

        if (connection.IsMarked(Marks.Worn))
        {
            UnmarkUnlessWorn(connection);
        }

        // Before the hand-off, which does not count as idle time: neither for IdleTimeout nor for the next lease's IdleFor.
        // While other pools queue it may have to go after a turn, so then the clock is read.
        // In a quiet pool nobody else reads it.
        bool isTight = _cap.IsTight;
        connection.IdleSince = isTight || _isQuiet ? Services.Clock.Read() : Services.Clock.Coarse;
        if ((isTight || (_warm.Detour & Detour.ConcernsReturns) != Detour.None) && TryPlace(connection))
        {
            return;
        }

        if (connection.IsMarked(Marks.Unwatched))
        {
            Watch(connection);
        }

        LookAfterPublication(connection, Publish(connection));
    }

    /// <summary>
    /// The first half: the pool's own connection goes idle where rents find it. Returns which publication it was; from here on the
    /// connection may be anybody's.
    /// </summary>
    private long Publish(TcpConnection connection)
    {
        Idle.Settle(connection);
        long version = connection.CurrentVersion;
        connection.PublishIdle();
        Idle.Push(connection);
        return version;
    }

    /// <summary>
    /// A parked connection that the pool owns goes to the oldest waiter, or leaves if it is over the limit or the pool shuts
    /// down; the limit first, or a pool with waiters would never shrink. False when it may become idle.
    /// </summary>
    private bool TryPlace(TcpConnection connection)
    {
        // Not under the gate unless there may be one: the hand-over needs it already (its gain: TryEnqueue). A limit that is
        // lowered right now is seen there, or by the second half of the publication.
        if (((_warm.Detour & (Detour.Shrinking | Detour.Refusing)) != Detour.None || _cap.IsTight) && TryRemoveSurplus(connection))
        {
            return true;
        }

        return !IsUsable(connection) || TryHandOver(connection);
    }

    /// <summary>The second half of a return: somebody waits, the pool closes or shrinks, or the connection was marked.</summary>
    public void LookAfterPublication(TcpConnection connection, long version)
    {
        if ((_warm.Detour & Detour.ConcernsReturns) != Detour.None)
        {
            ServeFromIdle();
        }

        NoteIdle();
        RemoveIfOutdated(connection, version);
    }

    /// <summary>
    /// Clear, a change of settings and a name that has moved go round the idle connections once, and the word of a peer's
    /// close comes once; a connection that was published a moment too late for that is looked at here, after its
    /// publication. Only that publication may be taken back: a later one is on its way into the stack in another thread's
    /// hands, and closing it would give away the number that is about to be linked.
    /// </summary>
    private void RemoveIfOutdated(TcpConnection connection, long version)
    {
        if (FindOutdated(connection) is { } reason)
        {
            if (connection.TryTakeBack(version))
            {
                Remove(connection, reason);
            }
        }
        else if (connection.PeerHasClosed && connection.TryTakeBack(version))
        {
            RemoveClosedByPeer(connection);
        }
    }

    private CloseReason? FindExpiry(TcpConnection connection, TimeSpan now, bool wasIdle)
    {
        PoolSettings settings = _settings;
        if (now >= LifetimeEnd(connection, settings))
        {
            return CloseReason.MaxLifetime;
        }

        // MinIdleConnections are kept past IdleTimeout; then only the sweep, which counts them, may close an idle one.
        return wasIdle && settings.MinIdleConnections == 0 && now >= IdleEnd(connection, settings)
            ? CloseReason.IdleTimeout
            : null;
    }

    private static TimeSpan LifetimeEnd(TcpConnection connection, PoolSettings settings) =>
        settings.Lifetime == Timeout.InfiniteTimeSpan
            ? TimeSpan.MaxValue
            : connection.CreatedAt + (settings.Lifetime * connection.LifetimeFactor);

    private static TimeSpan IdleEnd(TcpConnection connection, PoolSettings settings) =>
        settings.IdleTimeout == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : connection.IdleSince + settings.IdleTimeout;
}
