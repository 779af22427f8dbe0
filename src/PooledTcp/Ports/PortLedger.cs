using System.Diagnostics;

namespace PooledTcp.Ports;

/// <summary>What a closed connection leaves behind on our side.</summary>
internal enum PortDebt
{
    /// <summary>The port is free: Passive, Quiet or Abort.</summary>
    None,

    /// <summary>A TIME_WAIT nobody had a token for: a simultaneous close, or a graceful one beyond the share.</summary>
    TimeWait,

    /// <summary>The TIME_WAIT a token was taken for.</summary>
    TimeWaitByToken,
}

/// <summary>
/// The account of local ports: what this process holds towards whom, and the TIME_WAITs it owes. One lock and O(1) per
/// event, no system call: every TIME_WAIT lasts equally long, so the oldest entry of one queue is the next to run out.
/// Each connection goes <see cref="Connecting"/>, then <see cref="Connected"/> or <see cref="ConnectFailed"/>, then
/// <see cref="Closing"/>, then <see cref="Closed"/>.
/// </summary>
/// <remarks>
/// It knows only its own: other processes show in a <see cref="PortCensus"/>. It over-counts slightly (0.16 % of
/// TIME_WAITs die early, tcp-facts section 3), which is the safe side.
/// </remarks>
internal sealed class PortLedger
{
    /// <summary>How long a tuple on which dials fail is left alone unless one succeeds: each connect that finds no port burns 3 ms of CPU.</summary>
    public static readonly TimeSpan FailureHold = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The same while a port of ours is on its way back: a quiet close gives it up when the peer has acknowledged our FIN, and a
    /// peer that does not close takes a delayed ACK for that (42 ms, tcp-facts section 1).
    /// </summary>
    public static readonly TimeSpan ReturnHold = TimeSpan.FromMilliseconds(50);

    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly TimeSpan _timeWaitHold;
    private readonly Lock _lock = new();
    private readonly Dictionary<(PortTuple, PortRange), PortAccount> _accounts = [];

    // In the order of their ends, since every entry of a queue lasts equally long. The end of a TIME_WAIT is in its account.
    private readonly Queue<PortAccount> _timeWaits = new();
    private readonly Queue<(PortAccount Account, TimeSpan Until)> _news = new();

    /// <param name="time">The clock.</param>
    /// <param name="timeWaitHold">From the beginning of a TIME_WAIT to the return of its token; see <see cref="KernelPortSettings.TimeWaitHold"/>.</param>
    public PortLedger(TimeProvider time, TimeSpan timeWaitHold)
    {
        _time = time;
        _timeWaitHold = timeWaitHold;
        _start = time.GetTimestamp();
    }

    /// <summary>How many accounts there are. Unused ones disappear.</summary>
    public int Count
    {
        get
        {
            using (Enter())
            {
                return _accounts.Count;
            }
        }
    }

    /// <summary>A dial begins. The account stays valid until this port's last event.</summary>
    public PortAccount Connecting(in PortTuple tuple, PortRange range, int usable)
    {
        using (Enter())
        {
            if (!_accounts.TryGetValue((tuple, range), out PortAccount? account))
            {
                account = new PortAccount(tuple, range, usable);
                _accounts.Add((tuple, range), account);
            }

            account.Connecting++;
            account.Changes++;
            return account;
        }
    }

    /// <summary>The dial succeeded, so the tuple is usable, whatever was thought of it.</summary>
    public void Connected(PortAccount account)
    {
        using (Enter())
        {
            Debug.Assert(account.Connecting > 0);
            account.Connecting--;
            account.Live++;
            account.Changes++;
            account.LastFailure = PortFailure.NotAboutPorts;
        }
    }

    /// <summary>The dial failed or was cancelled, and its socket is disposed: until then a cancelled one keeps its port (tcp-facts section 2).</summary>
    public void ConnectFailed(PortAccount account)
    {
        using (Enter())
        {
            Debug.Assert(account.Connecting > 0);
            account.Connecting--;
            account.Changes++;
            RemoveIfUnused(account);
        }
    }

    public void Closing(PortAccount account)
    {
        using (Enter())
        {
            Debug.Assert(account.Live > 0);
            account.Live--;
            account.Closing++;
            account.Changes++;
        }
    }

    /// <summary>The socket is closed. A TIME_WAIT counts from now, the moment the peer's FIN was read at the latest.</summary>
    public void Closed(PortAccount account, PortDebt debt)
    {
        using (Enter(out TimeSpan now))
        {
            Debug.Assert(account.Closing > 0);
            account.Closing--;
            account.Changes++;
            if (debt == PortDebt.TimeWaitByToken)
            {
                Debug.Assert(account.Promised > 0);
                account.Promised--;
            }

            if (debt == PortDebt.None)
            {
                // A port has come back: the next dial may find out.
                account.FailedUntil = TimeSpan.Zero;
                account.FreedAt = now;
                if (account.IsUnused)
                {
                    // A dial may come before the port is back in the kernel, and has to know that it is about to be.
                    Keep(account, now);
                }
            }
            else
            {
                account.Owed.Enqueue(now + _timeWaitHold);
                _timeWaits.Enqueue(account);
            }

            RemoveIfUnused(account);
        }
    }

    /// <summary>
    /// Permission for one more TIME_WAIT, if fewer than <paramref name="limit"/> are owed or promised. It is spent by
    /// <see cref="PortDebt.TimeWaitByToken"/> and comes back only when that TIME_WAIT has run out.
    /// </summary>
    public bool TryTakeToken(PortAccount account, int limit)
    {
        using (Enter())
        {
            if (account.Use.Tokens >= limit)
            {
                return false;
            }

            account.Promised++;
            return true;
        }
    }

    /// <summary>The close ended in another way, before any TIME_WAIT began. Comes before <see cref="Closed"/>.</summary>
    public void CancelToken(PortAccount account)
    {
        using (Enter())
        {
            Debug.Assert(account.Promised > 0);
            account.Promised--;
            RemoveIfUnused(account);
        }
    }

    /// <summary>
    /// How long until the next token comes back by time: zero when one is to be had, null when none is owed yet and the
    /// wait depends on closes under way.
    /// </summary>
    public TimeSpan? UntilToken(PortAccount account, int limit)
    {
        using (Enter(out TimeSpan now))
        {
            return account.Use.Tokens < limit ? TimeSpan.Zero
                : account.Owed.TryPeek(out TimeSpan due) ? due - now
                : null;
        }
    }

    /// <summary>
    /// No port is left, or the address cannot be used: dials go elsewhere until one succeeds here or
    /// <see cref="FailureHold"/> (<see cref="ReturnHold"/>) is over. Comes before the failed dial's <see cref="ConnectFailed"/>.
    /// </summary>
    public void MarkFailed(PortAccount account, PortFailure failure)
    {
        using (Enter(out TimeSpan now))
        {
            Debug.Assert(!account.IsUnused);
            account.LastFailure = failure;
            account.FailedUntil = now + (now - account.FreedAt < ReturnHold ? ReturnHold : FailureHold);
            Keep(account, now);
        }
    }

    /// <summary>How a tuple stands before a dial; <c>default</c> when nothing is known against it.</summary>
    public PortStanding Look(in PortTuple tuple, PortRange range)
    {
        using (Enter(out TimeSpan now))
        {
            return _accounts.TryGetValue((tuple, range), out PortAccount? account)
                ? new PortStanding(account.Use, account.FailedUntil > now ? account.LastFailure : PortFailure.NotAboutPorts, account.LastCensus)
                : default;
        }
    }

    /// <summary>A port of ours was given back within <see cref="FailureHold"/>.</summary>
    public bool WasFreedLately(PortAccount account)
    {
        using (Enter(out TimeSpan now))
        {
            return now - account.FreedAt < FailureHold;
        }
    }

    public PortUse Use(PortAccount account)
    {
        using (Enter())
        {
            return account.Use;
        }
    }

    /// <summary>Over all accounts.</summary>
    public PortUse Total()
    {
        using (Enter())
        {
            PortUse total = default;
            foreach (PortAccount account in _accounts.Values)
            {
                total += account.Use;
            }

            return total;
        }
    }

    /// <summary>The accounts of which at least this share of the ports is taken.</summary>
    public IReadOnlyList<PortAccount> FindAbove(double share)
    {
        using (Enter())
        {
            List<PortAccount>? found = null;
            foreach (PortAccount account in _accounts.Values)
            {
                if (account.Use.Ports > share * account.Usable)
                {
                    (found ??= []).Add(account);
                }
            }

            return found ?? (IReadOnlyList<PortAccount>)[];
        }
    }

    private Lock.Scope Enter() => Enter(out _);

    /// <summary>Every entry settles what has run out, so each count that is read is true now and no timer is needed.</summary>
    private Lock.Scope Enter(out TimeSpan now)
    {
        Lock.Scope scope = _lock.EnterScope();

        // Under the lock: the queues are in order only if the times were read in the order of the entries.
        now = _time.GetElapsedTime(_start);
        while (_timeWaits.TryPeek(out PortAccount? account) && account.Owed.Peek() <= now)
        {
            _timeWaits.Dequeue();
            account.Owed.Dequeue();
            account.Changes++;
            RemoveIfUnused(account);
        }

        while (_news.TryPeek(out (PortAccount Account, TimeSpan Until) mark) && mark.Until <= now)
        {
            _news.Dequeue();
            mark.Account.News--;
            RemoveIfUnused(mark.Account);
        }

        return scope;
    }

    /// <summary>Its last event is news for as long as a mark can hold.</summary>
    private void Keep(PortAccount account, TimeSpan now)
    {
        account.News++;
        _news.Enqueue((account, now + FailureHold));
    }

    private void RemoveIfUnused(PortAccount account)
    {
        if (account.IsUnused)
        {
            _accounts.Remove((account.Tuple, account.Range));
        }
    }
}
