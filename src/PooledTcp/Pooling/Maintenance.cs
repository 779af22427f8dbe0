using System.Threading.Channels;
using PooledTcp.Connections;

namespace PooledTcp.Pooling;

/// <summary>
/// The one maintenance loop of a client. Pools ask for a look through a channel, the timer's tick comes through the same
/// channel, and one reader serves them in turn: no pool is ever looked after by two threads, and a rent that notices work
/// to do writes one item instead of doing it. While no pool has anything to look after, there is no timer either.
/// </summary>
internal sealed class Maintenance : IAsyncDisposable
{
    /// <summary>The coarse clock is read at least this often while any pool lends connections.</summary>
    private static readonly TimeSpan LongestTick = TimeSpan.FromSeconds(1);

    // Unbounded, and still never longer than the number of pools + 1: a pool has one request in it at most, and so has the timer.
    private readonly Channel<ConnectionPool?> _requests =
        Channel.CreateUnbounded<ConnectionPool?>(new UnboundedChannelOptions { SingleReader = true });

    private readonly Dictionary<ConnectionPool, TimeSpan> _due = [];
    private readonly List<ConnectionPool> _ripe = [];
    private readonly PoolClock _clock;
    private readonly Action<ConnectionPool> _onRetired;
    private readonly Action<Exception> _onError;
    private readonly Task _loop;
    private ITimer? _timer;
    private TimeSpan _timerDue = TimeSpan.MaxValue;

    public Maintenance(PoolClock clock, Action<ConnectionPool> onRetired, Action<Exception> onError)
    {
        _clock = clock;
        _onRetired = onRetired;
        _onError = onError;

        // Not on the constructing caller's execution context: the loop outlives the caller.
        using (ExecutionContext.SuppressFlow())
        {
            _loop = Task.Run(RunAsync);
        }
    }

    public void Request(ConnectionPool pool)
    {
        if (pool.TryMarkMaintenanceRequested())
        {
            _requests.Writer.TryWrite(pool);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _requests.Writer.TryComplete();
        await _loop.ConfigureAwait(false);
    }

    private async Task RunAsync()
    {
        await foreach (ConnectionPool? requested in _requests.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            TimeSpan now = _clock.Read();
            if (requested is not null)
            {
                requested.AcceptMaintenance();
                Maintain(requested, now);
            }
            else
            {
                Tick(now);
            }
        }

        if (_timer is not null)
        {
            await _timer.DisposeAsync().ConfigureAwait(false);
        }
    }

    private void Tick(TimeSpan now)
    {
        _timerDue = TimeSpan.MaxValue;
        foreach ((ConnectionPool pool, TimeSpan due) in _due)
        {
            if (due <= now)
            {
                _ripe.Add(pool);
            }
        }

        foreach (ConnectionPool pool in _ripe)
        {
            Maintain(pool, now);
        }

        _ripe.Clear();
        foreach ((ConnectionPool pool, TimeSpan due) in _due)
        {
            ArmTimer(pool, due, now);
        }
    }

    private void Maintain(ConnectionPool pool, TimeSpan now)
    {
        TimeSpan? next;
        try
        {
            next = pool.Maintain(now, out bool retired);
            if (retired)
            {
                _onRetired(pool);
            }
        }
        catch (Exception e)
        {
            // A fault in one pool's upkeep must not end everybody's; it is tried again at the next tick.
            _onError(e);
            next = now + LongestTick;
        }

        if (next is { } due)
        {
            _due[pool] = due;
            ArmTimer(pool, due, now);
        }
        else
        {
            _due.Remove(pool);
        }
    }

    private void ArmTimer(ConnectionPool pool, TimeSpan due, TimeSpan now)
    {
        TimeSpan latest = now + LongestTick;
        due = due < latest || pool.IsQuiet ? due : latest;
        if (due >= _timerDue)
        {
            return;
        }

        _timerDue = due;
        _timer ??= _clock.Time.CreateTimer(
            static state => ((Channel<ConnectionPool?>)state!).Writer.TryWrite(null), _requests, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(due > now ? due - now : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }
}
