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

    private void Arm(TrackedTimer timer, bool armed)
    {
        Interlocked.Increment(ref _changes);
        lock (_armed)
        {
            _ = armed ? _armed.Add(timer) : _armed.Remove(timer);
        }
    }

    private sealed class TrackedTimer(FakeTime owner, TimerCallback callback, object? state) : ITimer
    {
        private bool _periodic;

        public ITimer Inner { get; set; } = null!;

        public void Fire()
        {
            if (!_periodic)
            {
                owner.Arm(this, armed: false);
            }

            callback(state);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _periodic = period != Timeout.InfiniteTimeSpan;
            owner.Arm(this, dueTime != Timeout.InfiniteTimeSpan);
            return Inner.Change(dueTime, period);
        }

        public void Dispose()
        {
            owner.Arm(this, armed: false);
            Inner.Dispose();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }
    }
}
