using System.Net.Sockets;

namespace PooledTcp.Ports;

/// <summary>
/// Tells an exhausted range from an unusable address: errno 98 and 99 mean either (tcp-facts section 3). And keeps an eye
/// on tuples that fill up, so that a foreign process in our slice is noticed before it hurts.
/// </summary>
internal sealed class PortWatch(PortLedger ledger, IPortCensusTaker taker, TimeProvider time)
{
    /// <summary>From here on a range counts as taken: the rest are ports freed, or taken, between the error and the look.</summary>
    public const double ExhaustedShare = 0.9;

    /// <summary>Below it nobody counts.</summary>
    public const double WatchedShare = 0.25;

    public static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The same for a tuple on which nothing of ours has happened since, rents and returns apart: others may take ports there all
    /// the same, which only logs and metrics tell of until a dial of ours is the next event.
    /// </summary>
    public static readonly TimeSpan SteadyInterval = TimeSpan.FromSeconds(30);

    /// <summary>
    /// The same when nothing is lent at all. At 10,000 idle connections (35 % of the usual range) a count costs about
    /// 20 ms, which every 5 s was 4 ms of CPU a second for a process that did nothing (measured).
    /// </summary>
    public static readonly TimeSpan QuietInterval = TimeSpan.FromMinutes(5);

    private readonly Lock _lock = new();
    private readonly Dictionary<PortAccount, Task<PortCensus>> _underWay = [];
    private long? _lastSweep;

    /// <summary>
    /// Explains why a bind or connect failed, and notes it in the ledger. To be asked before the dial's
    /// <see cref="PortLedger.ConnectFailed"/>. Completes at once if the ledger explains it.
    /// </summary>
    public ValueTask<PortDiagnosis> DiagnoseAsync(SocketException error, PortAccount account)
    {
        if (!IsAboutPorts(error.SocketErrorCode))
        {
            return new ValueTask<PortDiagnosis>(new PortDiagnosis(PortFailure.NotAboutPorts, null));
        }

        if (ledger.Use(account).Held >= ExhaustedShare * account.Usable)
        {
            return new ValueTask<PortDiagnosis>(Conclude(account, PortFailure.Exhausted, taker.FromLedger(account)));
        }

        AddressVerdict address = AddressProbe.Ask(account.Tuple);
        return address == AddressVerdict.Unusable
            ? new ValueTask<PortDiagnosis>(Conclude(account, PortFailure.UnusableAddress, null))
            : CountAndJudgeAsync(account, address);
    }

    /// <summary>
    /// Counts every tuple above <see cref="WatchedShare"/>, at most once per <see cref="SweepInterval"/>, or
    /// <see cref="SteadyInterval"/> or <see cref="QuietInterval"/> where nothing has changed; returns the fresh counts. Takes milliseconds: for a background
    /// thread, and one at a time.
    /// </summary>
    /// <param name="isQuiet">The pool that asks lends nothing at the moment.</param>
    public IReadOnlyList<PortCensus> Sweep(bool isQuiet)
    {
        lock (_lock)
        {
            if (_lastSweep is long last && time.GetElapsedTime(last) < SweepInterval)
            {
                return [];
            }

            _lastSweep = time.GetTimestamp();
        }

        List<PortCensus> counts = [];
        foreach (PortAccount account in ledger.FindAbove(WatchedShare))
        {
            // Before the count: what happens meanwhile is for the next one.
            int changes = account.Changes;
            if (account.CountedChanges != changes || time.GetElapsedTime(account.CountedAt) >= (isQuiet ? QuietInterval : SteadyInterval))
            {
                account.CountedChanges = changes;
                account.CountedAt = time.GetTimestamp();
                account.LastCensus = taker.Take(account);
                counts.Add(account.LastCensus);
            }
        }

        return counts;
    }

    /// <summary>
    /// Ports that others hold, by the last count; 0 where nobody counts, because our own share is small: a count from
    /// when it was larger is old.
    /// </summary>
    public static int OthersOf(PortAccount account, PortUse ours) =>
        ours.Ports >= WatchedShare * account.Usable ? account.LastCensus?.Others ?? 0 : 0;

    public static bool IsAboutPorts(SocketError error) => IsAboutPorts(error, OperatingSystem.IsWindows());

    /// <summary>Elsewhere than on Windows, 10055 is the kernel's want of memory (tcp-facts section 3).</summary>
    public static bool IsAboutPorts(SocketError error, bool isWindows) =>
        error is SocketError.AddressAlreadyInUse or SocketError.AddressNotAvailable
        || (error == SocketError.NoBufferSpaceAvailable && isWindows);

    private async ValueTask<PortDiagnosis> CountAndJudgeAsync(PortAccount account, AddressVerdict address)
    {
        PortCensus census = await CountOnceAsync(account).ConfigureAwait(false);
        bool exhausted = census.Share >= ExhaustedShare || (address == AddressVerdict.Usable && (IsHidden(census) || WasFull(census, account)));
        return Conclude(account, exhausted ? PortFailure.Exhausted : PortFailure.UnusableAddress, census);
    }

    /// <summary>
    /// A range full of sockets to other destinations hides its ports from this tuple only if they were bound explicitly,
    /// which no table shows; but if the address is usable, nothing else can have failed. The same holds where nothing can
    /// be counted.
    /// </summary>
    private static bool IsHidden(PortCensus census) =>
        census.Method == CensusMethod.LedgerOnly || census.ShareByAnySocket >= ExhaustedShare;

    /// <summary>
    /// The count comes after the error, and where every exchange closes its connection many ports, even all, are free again
    /// by then. If the address is usable, nothing else than a lack of ports can have failed.
    /// </summary>
    private bool WasFull(PortCensus census, PortAccount account) => census.Taken > 0 || ledger.WasFreedLately(account);

    private PortDiagnosis Conclude(PortAccount account, PortFailure failure, PortCensus? census)
    {
        if (census is not null)
        {
            account.LastCensus = census;
        }

        ledger.MarkFailed(account, failure);
        return new PortDiagnosis(failure, census);
    }

    /// <summary>Single-flight: dials fail together, and one count answers for all of them.</summary>
    private Task<PortCensus> CountOnceAsync(PortAccount account)
    {
        lock (_lock)
        {
            if (!_underWay.TryGetValue(account, out Task<PortCensus>? count))
            {
                count = Task.Run(() => Count(account));
                _underWay.Add(account, count);
            }

            return count;
        }
    }

    private PortCensus Count(PortAccount account)
    {
        try
        {
            PortCensus census = taker.Take(account);
            if (census.Share < ExhaustedShare && census.Method != CensusMethod.LedgerOnly)
            {
                census = taker.Take(account, anyDestination: true);
            }

            return census;
        }
        finally
        {
            lock (_lock)
            {
                _underWay.Remove(account);
            }
        }
    }
}
