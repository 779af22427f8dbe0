using System.Diagnostics;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>
/// How late this machine lets anything happen: a thread that sleeps, a work item, a timer, and what a rent at its deadline is
/// made of (a timer, a cancellation, a continuation on the thread pool), each bare, watched all the time. What a rent's
/// deadline went past while one of them was overdue as well is not the pool's.
/// </summary>
internal sealed class MachineDelay : IDisposable
{
    // So many that a moment in which rents are late is seen by some of them.
    private const int Waits = 16;

    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(2);

    // Timers count whole milliseconds, so that much is nobody's delay.
    private static readonly TimeSpan Ordinary = TimeSpan.FromMilliseconds(2);

    // As long as a rent's deadline.
    private static readonly TimeSpan Wait = TimeSpan.FromMilliseconds(60);

    private readonly Lock _gate = new();
    private readonly List<(long From, long To)> _delays = [];
    private readonly Thread _thread;
    private readonly Timer _timer;
    private volatile bool _stop;
    private long _timerDue;
    private TimeSpan _worst;

    public MachineDelay()
    {
        _timerDue = Stopwatch.GetTimestamp() + Ticks(Beat);
        _timer = new Timer(static state => ((MachineDelay)state!).TimerRan(), this, Beat, Beat);
        _thread = new Thread(Run) { IsBackground = true, Name = "machine delay", Priority = ThreadPriority.AboveNormal };
        _thread.Start();
        for (int i = 0; i < Waits; i++)
        {
            _ = WaitAsync(i);
        }
    }

    /// <summary>The longest delay of all.</summary>
    public TimeSpan Worst
    {
        get
        {
            lock (_gate)
            {
                return _worst;
            }
        }
    }

    /// <summary>How much of a span of time (two timestamps) passed while something bare was overdue.</summary>
    public TimeSpan Within(long from, long to)
    {
        (long From, long To)[] inside;
        lock (_gate)
        {
            inside = [.. _delays.Where(delay => delay.To > from && delay.From < to).OrderBy(static delay => delay.From)];
        }

        long covered = 0;
        long end = from;
        foreach ((long first, long last) in inside)
        {
            covered += Math.Max(0, Math.Min(last, to) - Math.Max(first, end));
            end = Math.Max(end, Math.Min(last, to));
        }

        return Stopwatch.GetElapsedTime(0, covered);
    }

    public void Dispose()
    {
        _stop = true;
        _timer.Dispose();
        _thread.Join();
    }

    /// <summary>Something that was due at one timestamp ran at another.</summary>
    public void Note(long due, long ran)
    {
        TimeSpan delay = Stopwatch.GetElapsedTime(due, ran);
        if (delay <= Ordinary)
        {
            return;
        }

        lock (_gate)
        {
            _delays.Add((due, ran));
            _worst = delay > _worst ? delay : _worst;
        }
    }

    private static long Ticks(TimeSpan span) => (long)(span.TotalSeconds * Stopwatch.Frequency);

    private void Run()
    {
        while (!_stop)
        {
            long due = Stopwatch.GetTimestamp() + Ticks(Beat);
            Thread.Sleep(Beat);
            long now = Stopwatch.GetTimestamp();
            Note(due, now);
            ThreadPool.UnsafeQueueUserWorkItem(static probe => probe.Machine.Note(probe.Queued, Stopwatch.GetTimestamp()), (Machine: this, Queued: now), preferLocal: false);
        }
    }

    private async Task WaitAsync(int index)
    {
        await Task.Delay(Wait * index / Waits).ConfigureAwait(false);
        while (!_stop)
        {
            var never = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            long due = Stopwatch.GetTimestamp() + Ticks(Wait);
            using var deadline = new CancellationTokenSource(Wait);
            await using (deadline.Token.UnsafeRegister(static state => ((TaskCompletionSource)state!).TrySetResult(), never).ConfigureAwait(false))
            {
                await never.Task.ConfigureAwait(false);
            }

            Note(due, Stopwatch.GetTimestamp());
        }
    }

    private void TimerRan()
    {
        long now = Stopwatch.GetTimestamp();
        Note(Interlocked.Exchange(ref _timerDue, now + Ticks(Beat)), now);
    }
}
