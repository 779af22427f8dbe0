using System.Diagnostics;
using System.Runtime.CompilerServices;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;

namespace PooledTcp.Connections;

/// <summary>
/// One TCP connection from its dial to its close: the state word that says who may touch it, the record of the current
/// lease, and what the pool notes about it. The bytes are <see cref="Transport"/>'s, who gets it next is the pool's.
/// </summary>
internal sealed partial class TcpConnection : WarmState
{
    private readonly PoolClock _clock;
    private int _interruptReason = -1;

    public TcpConnection(long id, string poolName, Transport transport, ILeaseOwner owner, int generation, double lifetimeFactor, PoolClock clock)
        : base(transport, owner)
    {
        Id = id;
        PoolName = poolName;
        Generation = generation;
        LifetimeFactor = lifetimeFactor;
        _clock = clock;
        CreatedAt = clock.Read();
        IdleSince = CreatedAt;
        _handle = new LeaseHandle(this);
        if (transport.NeedsParking)
        {
            Mark(Marks.ReturnsCarefully);
        }
    }

    /// <summary>Unique in the process, never reused.</summary>
    public long Id { get; }

    public string PoolName { get; }

    /// <summary>The pool's generation when the dial began; a connection of an older one is never lent again.</summary>
    public int Generation { get; }

    /// <summary>1 - jitter x random: multiplied with Lifetime wherever that is compared, so a reload moves the end.</summary>
    public double LifetimeFactor { get; }

    /// <summary>Where it leads to. Null only for connections that no pool dialed.</summary>
    public DialTarget? Target { get; init; }

    /// <summary>On the pool clock.</summary>
    public TimeSpan CreatedAt { get; }

    /// <summary>On the pool clock: when it was open and set up. Written before anybody can rent it.</summary>
    public TimeSpan JoinedAt { get; set; }

    /// <summary>What the handshake produced.</summary>
    public object? Session { get; set; }

    /// <summary>Position in the pool's <c>ConnectionTable</c>.</summary>
    public int TableIndex { get; set; } = -1;

    /// <summary>Table index + 1 of the connection below in the idle stack. See <c>IdleStack</c> for who may read it when.</summary>
    public int NextIdle;

    /// <summary>True while the idle stack links to this connection, dead or alive.</summary>
    public volatile bool Linked;

    /// <summary>
    /// The kernel has the peer's FIN or RST: an idle connection then closes at once, one on its way to somebody is not lent, and one
    /// on loan closes at its return.
    /// </summary>
    public bool PeerHasClosed => IsMarked(Marks.PeerClosed);

    /// <summary>Its place in the peer-close watch, whose lock guards it; -1 when it has none.</summary>
    public int WatchIndex { get; set; } = -1;

    /// <summary>An event will tell of the peer's close. False: the sweep has to look.</summary>
    public volatile bool IsWatched;

    /// <summary>On the pool's clock: the end of the last probe. Written and read as <see cref="WarmState.IdleSince"/> is.</summary>
    public TimeSpan ProbedAt { get; set; }

    /// <summary>The last time the peer was heard of, as far as the pool knows: by a lease or by a probe.</summary>
    public TimeSpan QuietSince => ProbedAt > IdleSince ? ProbedAt : IdleSince;

    /// <summary>Multiplied with the time between two probes; 0 until it is drawn. The pool's probing alone uses it.</summary>
    public double ProbeFactor { get; set; }

    /// <summary>Set under the pool's gate when the connection is taken out: from then on the pool counts its uses, not it.</summary>
    public bool HasLeft { get; set; }

    /// <summary>Set under the pool's gate once the connection is closed and only a link in the idle stack is left of it.</summary>
    public bool IsBuried { get; set; }

    public Transport Transport => _transport;

    /// <summary>The span of the dial, for links from what comes after it; null if that was not recorded. Boxed: most have none.</summary>
    public StrongBox<ActivityContext>? Setup { get; init; }

    /// <summary>For spans.</summary>
    public ConnectionFacts Facts => new(Id, Uses > 1, _transport, Setup?.Value);

    public long CurrentVersion => LeaseWord.Version(Volatile.Read(ref _word));

    /// <summary>
    /// Its socket's own keepalive would have had an ACK within this time, whatever the settings say by now.
    /// </summary>
    public TimeSpan VanishedAfter { get; init; } = TimeSpan.MaxValue;

    public bool IsIdle => LeaseWord.Phase(Volatile.Read(ref _word)) == LeaseWord.Idle;

    /// <summary>
    /// Idle, or in the pool's hands: on its way to idle, to a waiter, or out. One reading of the word: between two, a
    /// connection on its way to idle would be neither.
    /// </summary>
    public bool IsIdleOrPooled => LeaseWord.Phase(Volatile.Read(ref _word)) is LeaseWord.Idle or LeaseWord.Pooled;

    public bool IsLeased => LeaseWord.Phase(Volatile.Read(ref _word)) == LeaseWord.Leased;

    public bool IsClosed => LeaseWord.Phase(Volatile.Read(ref _word)) == LeaseWord.Closed;

    /// <summary>Idle to leased, for a rent. The caller may still find it unusable; nobody else can touch it meanwhile.</summary>
    public bool TryTake()
    {
        long word = Volatile.Read(ref _word);
        if (LeaseWord.Phase(word) != LeaseWord.Idle)
        {
            return false;
        }

        // Lost to another rent or to the sweep: the word has moved on, and this connection with it.
        return Interlocked.CompareExchange(ref _word, NextLease(word), word) == word;
    }

    /// <summary>
    /// Idle to leased, but only from the publication that <paramref name="version"/> names: for a returner that looks at
    /// its own connection once more, when others may have rented and returned it since.
    /// </summary>
    public bool TryTakeBack(long version) =>
        Interlocked.CompareExchange(ref _word, NextLease(version), version | LeaseWord.Idle) == (version | LeaseWord.Idle);

    /// <summary>
    /// Idle to closed, for the sweep and for Clear: loses against any rent that took it first. It passes over a connection
    /// on its way into or out of the stack (idle, but neither linked nor in a slot): closing that would free its table
    /// number while a push is about to link it. Whoever carries it looks at its mark and generation right after.
    /// </summary>
    public bool TryEvict()
    {
        long word = Volatile.Read(ref _word);
        return LeaseWord.Phase(word) == LeaseWord.Idle
            && (Slot >= 0 || Linked)
            && Interlocked.CompareExchange(ref _word, LeaseWord.Version(word) | LeaseWord.Closed, word) == word;
    }

    /// <summary>
    /// The lease of a connection that was taken from idle, if nobody wants to know more of it than the pool itself.
    /// </summary>
    public LeaseHandle Lend()
    {
        CountUse();
        BeginRecord();
        return LendHandle();
    }

    /// <summary>
    /// Starts the record of a new lease. Call it while the connection is leased to nobody yet: after
    /// <see cref="TryTake"/> or <see cref="LendDirectly"/>, before the caller gets the handle.
    /// </summary>
    /// <param name="rentedBy">Where it was rented, if that is to be told of a lost or overdue lease.</param>
    /// <param name="isObserved">What becomes of the lease is to be told.</param>
    public void BeginLease(StackTrace? rentedBy = null, bool isObserved = false)
    {
        CountUse();
        BeginHookLease();
        _rentedBy = rentedBy;
        _isObserved = isObserved;
        if (rentedBy is not null || isObserved)
        {
            Mark(Marks.Extras);
        }
    }

    /// <summary>The same for a hook of the endpoint, which does not count as a use.</summary>
    public void BeginHookLease()
    {
        Debug.Assert(IsLeased, "A lease begins on a connection that was taken.");
        BeginRecord();
        if (_handle is { } handle)
        {
            handle.Stream = null;
            handle.Input = null;
            handle.Output = null;
        }
    }

    /// <summary>Pooled to leased, for a hand-off or a setup lease: nobody else can see the connection.</summary>
    public void LendDirectly()
    {
        long word = Volatile.Read(ref _word);
        Debug.Assert(LeaseWord.Phase(word) == LeaseWord.Pooled, "Only the pool's own connection is handed over.");
        Volatile.Write(ref _word, NextLease(word));
    }

    /// <summary>
    /// Whether the lease that was given <paramref name="version"/> runs and ends as most do: it was completed, has nothing in
    /// flight, and did nothing that must be looked at.
    /// </summary>
    public bool IsPlainlyCompleted(long version, out long seen)
    {
        seen = Volatile.Read(ref _word);
        return LeaseWord.IsHeldBy(seen, version)
            && (seen & (LeaseWord.InFlight | LeaseWord.LetGo)) == 0
            && Volatile.Read(ref _completedAt) == seen
            && (Marks & ~Marks.Unwatched) == Marks.None

            // Sent, and nothing came back: the reply may still be on its way.
            && (_bytesSent == 0 || _bytesReceived > 0);
    }

    /// <summary>
    /// Leased to idle in one swap, from the very word that <see cref="IsPlainlyCompleted"/> saw. False when anything happened
    /// to the lease since: the word counts operations, so one that began, ended and was completed again shows, too. Only
    /// <see cref="WarmState.IdleSince"/> is written before it.
    /// </summary>
    public bool TryEndPlainly(long seen)
    {
        _idleSince = _clock.CoarseTicks;
        return Interlocked.CompareExchange(ref _word, LeaseWord.Version(seen) | LeaseWord.Idle, seen) == seen;
    }

    /// <summary>
    /// Leased to pooled whatever its flags, for a return that will not go idle. False when the lease had ended already.
    /// <paramref name="flags"/> tells what was in flight.
    /// </summary>
    public bool TryEndAny(long version, out long flags)
    {
        long word = Volatile.Read(ref _word);
        while (LeaseWord.IsHeldBy(word, version))
        {
            long seen = Interlocked.CompareExchange(ref _word, version | LeaseWord.Pooled, word);
            if (seen == word)
            {
                flags = word;
                return true;
            }

            word = seen;
        }

        flags = 0;
        return false;
    }

    /// <summary>At this very word, or before the sweep let go of the handle: then nothing but that has happened since.</summary>
    public bool WasCompletedAt(long word) => (Volatile.Read(ref _completedAt) | LeaseWord.LetGo) == (word | LeaseWord.LetGo);

    /// <summary>
    /// Pooled to idle. A full fence: what the publisher reads next (waiters, generation) is read after others can see the
    /// connection, which is its half of the no-lost-wake-up protocol in <c>ConnectionPool</c>.
    /// </summary>
    public void PublishIdle()
    {
        Debug.Assert(LeaseWord.Phase(Volatile.Read(ref _word)) == LeaseWord.Pooled, "Only the pool's own connection goes idle.");
        Interlocked.Exchange(ref _word, CurrentVersion | LeaseWord.Idle);
    }

    /// <summary>Leased to nobody yet, back to pooled: taken from idle, but not for a rent.</summary>
    public void TakeBack()
    {
        Debug.Assert(IsLeased, "Only a connection that was taken is taken back.");
        Volatile.Write(ref _word, CurrentVersion | LeaseWord.Pooled);
    }

    /// <summary>To closed, from whatever the caller owns: pooled, or leased to nobody.</summary>
    public void MarkClosed()
    {
        Interlocked.Exchange(ref _word, CurrentVersion | LeaseWord.Closed);
        _handle?.Retire();
    }

    /// <summary>
    /// Closes the socket under a running lease (Clear with interruption, end of the client). The lease's operations fail,
    /// and its return finds <see cref="InterruptReason"/>.
    /// </summary>
    public void Interrupt(CloseReason reason)
    {
        Interlocked.CompareExchange(ref _interruptReason, (int)reason, -1);
        Mark(Marks.Interrupted);

        // The lease is in the middle of something: the stream is out of step, and the peer must notice.
        _transport.BeginClosing().Abort();
    }

    /// <summary>Why the pool closed the socket under its lease; null if it did not.</summary>
    public CloseReason? InterruptReason
    {
        get
        {
            int reason = Volatile.Read(ref _interruptReason);
            return reason < 0 ? null : (CloseReason)reason;
        }
    }

    /// <summary>Setup is over: from here on leases end at the pool.</summary>
    public void HandTo(ILeaseOwner owner) => _owner = owner;

    private static long NextLease(long word) => (LeaseWord.Version(word) + LeaseWord.VersionStep) | LeaseWord.Leased;
}
