using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace PooledTcp.Connections;

/// <summary>
/// The addresses of one host name: looked up once on a dial's path, from then on in the background only. One lookup runs at
/// a time, whoever asks; one that fails changes nothing.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "_end has no timer and no handle: nothing of it needs disposing.")]
internal sealed class NameCache(
    string host,
    Func<string, CancellationToken, Task<IPAddress[]>> resolve,
    PoolClock clock,
    Action<IReadOnlyList<IPAddress>> onResolved,
    Action<Exception> onRefreshFailed)
{
    /// <summary>
    /// A lookup that takes longer is given up, and may be started anew: the system's resolver asks each server twice, for 5 s
    /// (resolv.conf), and a dial waits no longer than ConnectTimeout anyway.
    /// </summary>
    public static readonly TimeSpan LookupTimeout = TimeSpan.FromSeconds(10);

    /// <summary>After a failed lookup the next one comes sooner than after a good one, but not at once.</summary>
    public static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(5);

    /// <summary>Failing dials ask for a lookup; they may get one a second.</summary>
    public static readonly TimeSpan ShortestPause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A dial that finds the addresses older than the interval waits so long for newer ones: enough for a name server that
    /// answers, and no more than a dead address costs a race (RFC 8305's delay).
    /// </summary>
    public static readonly TimeSpan RefreshPatience = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _end = new();
    private Task? _underWay;
    private TimeSpan _underWaySince;
    private bool _isKnown;
    private bool _lastFailed;
    private TimeSpan _lastEnd;

    /// <summary>The first lookup, for a dial that knows no address yet. When it completes, the addresses were told.</summary>
    /// <exception cref="SocketException">The name has no address, or nobody could be asked.</exception>
    public Task ResolveAsync(CancellationToken cancellationToken)
    {
        Task lookup;
        TimeSpan now = clock.Read();
        lock (_lock)
        {
            if (_isKnown)
            {
                return Task.CompletedTask;
            }

            lookup = StartLookup(now);
        }

        return lookup.WaitAsync(cancellationToken);
    }

    /// <summary>
    /// For a dial that knows addresses: starts a lookup if one is due, and waits a little for it if they are older than the
    /// interval, as after a rest of the pool. Each lookup is waited for once, from its start: a name server that is away
    /// costs the dials that come together one wait, not one each.
    /// </summary>
    /// <param name="interval">How old they may get; may be infinite.</param>
    /// <param name="now">On the pool clock.</param>
    /// <param name="cancellationToken">The dial's.</param>
    /// <returns>True when it waited: there may be others now.</returns>
    public async ValueTask<bool> FreshenAsync(TimeSpan interval, TimeSpan now, CancellationToken cancellationToken)
    {
        Task? lookup;
        TimeSpan patience;
        lock (_lock)
        {
            if (DueAt(interval) <= now)
            {
                _ = StartLookup(now);
            }

            bool isOld = _isKnown && interval != Timeout.InfiniteTimeSpan && now - _lastEnd >= interval;
            lookup = isOld ? _underWay : null;
            patience = _underWaySince + RefreshPatience - now;
        }

        if (lookup is null || patience <= TimeSpan.Zero)
        {
            return false;
        }

        // Late or failed: the known ones have to do.
        await lookup.WaitAsync(patience, clock.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        return true;
    }

    /// <summary>The pool has ended: nothing is looked up any more, and what is under way is given up, its timer with it.</summary>
    public void End() => _ = _end.CancelAsync();

    /// <summary>Starts a lookup in the background if the known addresses are too old. Returns at once.</summary>
    /// <param name="interval">How old they may get; may be infinite.</param>
    /// <param name="now">On the pool clock.</param>
    /// <returns>When the next is due; <see cref="TimeSpan.MaxValue"/> for never.</returns>
    public TimeSpan RefreshIfDue(TimeSpan interval, TimeSpan now)
    {
        lock (_lock)
        {
            TimeSpan due = DueAt(interval);
            if (due > now)
            {
                return due;
            }

            _ = StartLookup(now);
            return now + ShortestPause;
        }
    }

    /// <summary>A dial failed: the server may have moved. Starts a lookup unless one has just ended.</summary>
    public void RefreshSoon(TimeSpan now)
    {
        lock (_lock)
        {
            if (_isKnown && now - _lastEnd >= ShortestPause)
            {
                _ = StartLookup(now);
            }
        }
    }

    private TimeSpan DueAt(TimeSpan interval)
    {
        if (!_isKnown)
        {
            // Nobody has needed the name yet, and the dial that does looks it up itself.
            return TimeSpan.MaxValue;
        }

        if (_lastFailed)
        {
            return _lastEnd + (interval != Timeout.InfiniteTimeSpan && interval < RetryDelay ? interval : RetryDelay);
        }

        return interval == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : _lastEnd + interval;
    }

    /// <summary>Under the lock.</summary>
    private Task StartLookup(TimeSpan now)
    {
        if (_end.IsCancellationRequested)
        {
            return Task.FromCanceled(_end.Token);
        }

        if (_underWay is null)
        {
            _underWaySince = now;
            _underWay = Task.Run(LookUpAsync);

            // Everybody who waited for it may have left when it fails.
            _ = _underWay.ContinueWith(static t => _ = t.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        return _underWay;
    }

    private async Task LookUpAsync()
    {
        bool succeeded = false;
        try
        {
            IReadOnlyList<IPAddress> addresses = await AskAsync().ConfigureAwait(false);

            // Before the lookup is over: whoever waits for it finds them.
            onResolved(addresses);
            succeeded = true;
        }
        catch (Exception e) when (_isKnown)
        {
            if (!_end.IsCancellationRequested)
            {
                onRefreshFailed(e);
            }
        }
        finally
        {
            TimeSpan now = clock.Read();
            lock (_lock)
            {
                _isKnown |= succeeded;
                _lastFailed = !succeeded;
                _lastEnd = now;
                _underWay = null;
            }
        }
    }

    private async Task<IReadOnlyList<IPAddress>> AskAsync()
    {
        using CancellationTokenSource timeout = new(LookupTimeout, clock.Time);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _end.Token);
        stop.Token.ThrowIfCancellationRequested();
        IPAddress[] answer;
        try
        {
            answer = await resolve(host, stop.Token).WaitAsync(stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            throw new SocketException((int)SocketError.TryAgain);
        }

        // A mapped address is the IPv4 one in disguise: dialed with the wrong family, and counted twice.
        IPAddress[] addresses = [.. answer.Select(static a => a.IsIPv4MappedToIPv6 ? a.MapToIPv4() : a).Distinct()];
        return addresses.Length > 0 ? addresses : throw new SocketException((int)SocketError.HostNotFound);
    }
}
