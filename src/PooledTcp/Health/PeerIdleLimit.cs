namespace PooledTcp.Health;

/// <summary>
/// Learns after how long the peer closes idle connections, from the ages at which it did. A connection that is lent just
/// before that age meets the close half-way: the request is lost, and no check at rent can see it coming.
/// </summary>
/// <remarks>
/// Three closes in a row at about one age make a limit, which is the smallest of them. Closes that come together count as
/// one, since a restart closes many at once. An early close alone takes nothing back: a restart says nothing about the
/// limit. A connection that outlived the limit does, and all is forgotten. Thread-safe.
/// </remarks>
internal sealed class PeerIdleLimit
{
    private const int Needed = 3;

    /// <summary>A peer that closes sooner than this does not close because of idleness.</summary>
    public static readonly TimeSpan Shortest = TimeSpan.FromSeconds(2);

    // The pool's coarse clock is up to a second behind when a connection goes idle, and a peer that looks once a second is
    // another second late: ages closer than this are the same.
    private static readonly TimeSpan Blur = TimeSpan.FromSeconds(2);
    private const double RelativeBlur = 0.1;
    private const double RelativeMargin = 0.05;

    private readonly Lock _gate = new();
    private readonly List<TimeSpan> _ages = new(Needed);
    private TimeSpan _groupBegan = TimeSpan.MinValue;
    private long _limit;

    /// <summary>The learned limit; null while there is none.</summary>
    public TimeSpan? Limit => Volatile.Read(ref _limit) is var ticks && ticks > 0 ? new TimeSpan(ticks) : null;

    /// <summary>How long a connection may have idled to be lent: just below the limit. <see cref="TimeSpan.MaxValue"/> without one.</summary>
    public TimeSpan LendFor => Limit is not { } limit ? TimeSpan.MaxValue : limit - MarginOf(limit);

    /// <summary>How often to look, so that connections are out of rotation before the limit, and not at it.</summary>
    public TimeSpan LookEvery => Limit is not { } limit ? TimeSpan.MaxValue : MarginOf(limit) / 2;

    /// <summary>The idle time at which the peer should have closed; an older connection shows that the limit does not hold.</summary>
    public TimeSpan HoldsUntil => Limit is not { } limit ? TimeSpan.MaxValue : limit + BlurOf(limit);

    /// <summary>The peer closed a connection that had idled so long. True when that changed the limit.</summary>
    /// <param name="idleFor">How long it had been idle.</param>
    /// <param name="now">On the pool's clock.</param>
    public bool Closed(TimeSpan idleFor, TimeSpan now)
    {
        if (idleFor < Shortest)
        {
            return false;
        }

        lock (_gate)
        {
            if (_groupBegan != TimeSpan.MinValue && now - _groupBegan <= Blur)
            {
                // Of those that come together the one that idled least tells when the peer begins to close.
                _ages[^1] = Min(_ages[^1], idleFor);
            }
            else
            {
                _groupBegan = now;
                if (_ages.Count == Needed)
                {
                    _ages.RemoveAt(0);
                }

                _ages.Add(idleFor);
            }

            TimeSpan limit = _ages.Min();
            if (_ages.Count < Needed || _ages.Max() - limit > BlurOf(limit) || limit.Ticks == _limit)
            {
                return false;
            }

            Volatile.Write(ref _limit, limit.Ticks);
            return true;
        }
    }

    /// <summary>A connection has idled so long and the peer did not close it.</summary>
    public void Survived(TimeSpan idleFor)
    {
        if (idleFor > HoldsUntil)
        {
            Forget();
        }
    }

    public void Forget()
    {
        lock (_gate)
        {
            _ages.Clear();
            _groupBegan = TimeSpan.MinValue;
            Volatile.Write(ref _limit, 0);
        }
    }

    private static TimeSpan MarginOf(TimeSpan limit) => Min(Max(Blur, limit * RelativeMargin), limit / 2);

    private static TimeSpan BlurOf(TimeSpan limit) => Max(Blur, limit * RelativeBlur);

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;
}
