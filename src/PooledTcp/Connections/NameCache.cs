using System.Net;
using System.Net.Sockets;

namespace PooledTcp.Connections;

/// <summary>
/// The addresses of one host name: looked up once on a dial's path, from then on in the background only. One lookup runs at
/// a time, whoever asks; one that fails changes nothing.
/// </summary>
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

    private readonly Lock _lock = new();
    private Task? _underWay;
    private bool _isKnown;
    private bool _lastFailed;
    private TimeSpan _lastEnd;

    /// <summary>The first lookup, for a dial that knows no address yet. When it completes, the addresses were told.</summary>
    /// <exception cref="SocketException">The name has no address, or nobody could be asked.</exception>
    public Task ResolveAsync(CancellationToken cancellationToken)
    {
        Task lookup;
        lock (_lock)
        {
            if (_isKnown)
            {
                return Task.CompletedTask;
            }

            lookup = StartLookup();
        }

        return lookup.WaitAsync(cancellationToken);
    }

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

            _ = StartLookup();
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
                _ = StartLookup();
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
    private Task StartLookup()
    {
        if (_underWay is null)
        {
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
            onRefreshFailed(e);
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
        IPAddress[] answer;
        try
        {
            answer = await resolve(host, timeout.Token).WaitAsync(timeout.Token).ConfigureAwait(false);
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
