using PooledTcp.Ports;

namespace PooledTcp.Shutdown;

/// <summary>One closing connection's side of the port account: its token, and what it leaves behind.</summary>
/// <param name="ledger">The books.</param>
/// <param name="account">The page; null for a connection whose port nobody accounts for: tokens are then always to be had.</param>
/// <param name="limit">How many TIME-WAITs may be owed at once: the share of the usable range, or of the budget.</param>
/// <param name="time">The clock.</param>
internal readonly struct PortTokens(PortLedger ledger, PortAccount? account, int limit, TimeProvider time)
{
    private static readonly TimeSpan LongestLook = TimeSpan.FromSeconds(1);

    /// <summary>True when a token could be taken right now.</summary>
    public bool IsAvailable => account is null || ledger.UntilToken(account, limit) == TimeSpan.Zero;

    public bool TryTake() => account is null || ledger.TryTakeToken(account, limit);

    /// <summary>Waits for a token. They come back by time alone, a minute after their TIME-WAIT began, so this ends, if the limit is one at least.</summary>
    public async ValueTask TakeAsync(CancellationToken cancellationToken)
    {
        while (!TryTake())
        {
            // Nobody else's return can be missed: the next due time is known, and looked at again at least once a second.
            TimeSpan due = ledger.UntilToken(account!, limit) ?? LongestLook;
            await Task.Delay(due < LongestLook ? due + TimeSpan.FromMilliseconds(1) : LongestLook, time, cancellationToken).ConfigureAwait(false);
        }
    }

    public void GiveBack()
    {
        if (account is not null)
        {
            ledger.CancelToken(account);
        }
    }

    public void Closed(PortDebt debt)
    {
        if (account is not null)
        {
            ledger.Closed(account, debt);
        }
    }
}
