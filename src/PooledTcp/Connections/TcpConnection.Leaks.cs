using System.Diagnostics;

namespace PooledTcp.Connections;

/// <summary>Who holds the current lease, for how long, and what happens when nobody does any more.</summary>
internal sealed partial class TcpConnection
{
    /// <summary>A hook's lease ends with the hook, so the connection keeps the handle meanwhile, and nothing can be lost.</summary>
    public LeaseHandle HandleForHook => _handle!;

    /// <summary>On loan to a caller: not to a hook, nor taken by a rent that is still looking at it.</summary>
    public bool IsOnLoan => IsOnLoanAt(Volatile.Read(ref _word));

    /// <summary><see cref="WarmState.Uses"/> as the sweep saw it last. The sweep alone uses it.</summary>
    public int UsesSeen { get; set; }

    /// <summary>How long the lease has run, or ran: exact to about a second, as the start is read from the coarse clock.</summary>
    public TimeSpan LeaseAge => _clock.Coarse - new TimeSpan(_rentedAt);

    /// <summary>When the lease began, if its length is to be told: only then is that exact. Null when nobody wants to know.</summary>
    public TimeSpan? ObservedSince => _isObserved ? new TimeSpan(_rentedAt) : null;

    /// <summary>The lease has a span, which ends with it. Before the caller has the lease.</summary>
    public void GiveSpan(Activity span)
    {
        _leaseSpan = new LeaseSpan(CurrentVersion, span);
        Mark(Marks.Extras);
    }

    /// <summary>
    /// The span of the lease that was given <paramref name="version"/>: for one caller only, whoever ends the lease in the end,
    /// and never the next lease's. Nothing of the lease is kept here from then on.
    /// </summary>
    public Activity? TakeSpan(long version)
    {
        LeaseSpan? seen = Volatile.Read(ref _leaseSpan);
        return seen is not null && seen.Version == version && Interlocked.CompareExchange(ref _leaseSpan, null, seen) == seen ? seen.Span : null;
    }

    /// <summary>The lease that had them is over, and the connection is the pool's: the next one begins without.</summary>
    public void EndExtras()
    {
        if (IsMarked(Marks.Extras))
        {
            _rentedBy = null;
            _isObserved = false;
            Unmark(Marks.Extras);
        }
    }

    /// <summary>Where the lease was rented; null unless <c>Health.CaptureLeaseStacks</c> was on.</summary>
    public StackTrace? RentedBy => _rentedBy;

    /// <summary>
    /// For the handle of a new lease. Call it last, when the connection is taken and its record begun: from here on the sweep may
    /// let go of the handle.
    /// </summary>
    public LeaseHandle LendHandle()
    {
        LeaseHandle handle = _handle!;
        handle.LentFor = CurrentVersion;
        return handle;
    }

    /// <summary>
    /// From here on only the lease has its handle, and if that is lost, the garbage collector finds it. Under the gate, as
    /// <see cref="TakeBackHandle"/>. The word says so first: whoever returns the connection sees it, or has returned it before.
    /// </summary>
    public void LetGoOfHandle()
    {
        long word = Volatile.Read(ref _word);
        if ((word & LeaseWord.LetGo) == 0
            && IsOnLoanAt(word)
            && Interlocked.CompareExchange(ref _word, word | LeaseWord.LetGo, word) == word)
        {
            _handle = null;
        }
    }

    /// <summary>The lease is over, and the connection is the pool's. Under the gate: then whoever let go of the handle has done so.</summary>
    public void TakeBackHandle(LeaseHandle handle) => _handle = handle;

    /// <summary>
    /// Another handle for the leases to come. A hook may keep its lease in the <see cref="Session"/>, which lives as long as
    /// the connection; a copy that ended long ago must not keep the next caller's lease from being missed.
    /// </summary>
    public void RenewHandle()
    {
        _handle?.Retire();
        _handle = new LeaseHandle(this);
    }

    /// <summary>Ends the lease that was given <paramref name="version"/>; nothing happens when it has ended already.</summary>
    public void Return(LeaseHandle handle, long version, bool discard)
    {
        if (!discard && IsPlainlyCompleted(version, out long seen) && _owner.TryReturnPlainly(this, seen))
        {
            return;
        }

        ReturnCarefully(handle, version, discard);
        GC.KeepAlive(handle);
    }

    private void ReturnCarefully(LeaseHandle handle, long version, bool discard)
    {
        if (!LeaseWord.IsHeldBy(Volatile.Read(ref _word), version))
        {
            return;
        }

        if (handle.IsLost)
        {
            // A finalizer disposes it: the last moment at which anybody could. The same as if it had not.
            _isLost = true;
            discard = true;
        }

        _owner.Return(this, handle, version, discard);
    }

    /// <summary>
    /// On the finalizer thread, where nothing may block or throw: if the lease is running still, it ends on the thread pool, as
    /// a discard.
    /// </summary>
    public void OnHandleLost(LeaseHandle handle)
    {
        if (LeaseWord.IsHeldBy(Volatile.Read(ref _word), handle.LentFor))
        {
            ThreadPool.UnsafeQueueUserWorkItem(
                static lost => lost.Return(lost.LentFor, discard: true), handle, preferLocal: false);
        }
    }

    /// <summary>True once per lease, when a caller has had it for <paramref name="limit"/>. For the sweep.</summary>
    /// <remarks>
    /// The word, then the handle, then the record, then the word again: the handle is lent for this lease once the record was
    /// begun, and the next record begins after the word has moved on. So the record that was read is this lease's.
    /// </remarks>
    public bool TryFindOverdue(TimeSpan now, TimeSpan limit)
    {
        long version = CurrentVersion;
        if (!IsOnLoan || _warnedOf == version || now.Ticks - _rentedAt < limit.Ticks || !LeaseWord.IsHeldBy(Volatile.Read(ref _word), version))
        {
            return false;
        }

        _warnedOf = version;
        return true;
    }

    private bool IsOnLoanAt(long word) =>
        LeaseWord.Phase(word) == LeaseWord.Leased
        && ((word & LeaseWord.LetGo) != 0 || Volatile.Read(ref _handle)?.LentFor == LeaseWord.Version(word));

    private sealed record LeaseSpan(long Version, Activity Span);
}
