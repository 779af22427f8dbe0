using Microsoft.Extensions.Time.Testing;

namespace PooledTcp.Tests.Fakes;

/// <summary>The fake clock of the framework, which also tells how often it was read and which timers are armed.</summary>
internal sealed class FakeTime : FakeTimeProvider
{
    private readonly HashSet<TrackedTimer> _armed = [];
    private long _readings;
    private int _changes;

    public long Readings => Interlocked.Read(ref _readings);

    /// <summary>Runs at every reading.</summary>
    public Action? OnReading { get; set; }

    /// <summary>Runs at every timer that is made.</summary>
    public Action? OnCreateTimer { get; set; }

    /// <summary>How often a timer was armed, disarmed or armed anew.</summary>
    public int Changes => Volatile.Read(ref _changes);

    public int ArmedTimers
    {
        get
        {
            lock (_armed)
            {
                return _armed.Count;
            }
        }
    }

    public override long GetTimestamp()
    {
        Interlocked.Increment(ref _readings);
        OnReading?.Invoke();
        return base.GetTimestamp();
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        OnCreateTimer?.Invoke();
        TrackedTimer timer = new(this, callback, state);
        timer.Inner = base.CreateTimer(static s => ((TrackedTimer)s!).Fire(), timer, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        timer.Change(dueTime, period);
        return timer;
    }

    private void Disarm(TrackedTimer timer)
    {
        Interlocked.Increment(ref _changes);
        lock (_armed)
        {
            timer.Fires++;
            _armed.Remove(timer);
        }
    }

    private sealed class TrackedTimer(FakeTime owner, TimerCallback callback, object? state) : ITimer
    {
        private bool _periodic;

        /// <summary>How often it fired or was disarmed. Under the lock of the armed ones.</summary>
        public int Fires { get; set; }

        public ITimer Inner { get; set; } = null!;

        public void Fire()
        {
            if (!_periodic)
            {
                owner.Disarm(this);
            }

            callback(state);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _periodic = period != Timeout.InfiniteTimeSpan;
            if (dueTime == Timeout.InfiniteTimeSpan)
            {
                owner.Disarm(this);
                return Inner.Change(dueTime, period);
            }

            int fires;
            lock (owner._armed)
            {
                fires = Fires;
            }

            bool changed = Inner.Change(dueTime, period);

            // Not before: a test that waits for the timer and then advances the clock would come before its start. Unless
            // it has fired meanwhile.
            lock (owner._armed)
            {
                if (Fires == fires)
                {
                    owner._armed.Add(this);
                }
            }

            Interlocked.Increment(ref owner._changes);
            return changed;
        }

        public void Dispose()
        {
            owner.Disarm(this);
            Inner.Dispose();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }
    }
}
