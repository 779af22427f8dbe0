using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace PooledTcp.Telemetry;

/// <summary>
/// Lets one line a second pass for each event id, and tells in it how many were left out since the one before: when a
/// server goes away every caller has the same story, and a log that tells it ten thousand times a second is an outage of
/// its own. Which lines pass depends on the clock only, so the first of a kind is never late.
/// </summary>
/// <remarks>
/// What was left out after the last line of a storm is told by the next line of that kind, whenever it comes; nothing
/// wakes up to tell it. The metrics count every one.
/// </remarks>
internal sealed class ThrottledLogger(ILogger inner, TimeProvider time) : ILogger
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    // The library's own events only, so it stays as small as their number.
    private readonly ConcurrentDictionary<int, Kind> _kinds = new();

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => inner.BeginScope(state);

    public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        // A level that is off must cost no look at the clock, nor take the second from a line that somebody wants.
        if (!inner.IsEnabled(logLevel) || !_kinds.GetOrAdd(eventId.Id, static _ => new Kind()).TryPass(time, out long suppressed))
        {
            return;
        }

        if (suppressed == 0)
        {
            inner.Log(logLevel, eventId, state, exception, formatter);
        }
        else
        {
            SuppressedState told = new(state as IReadOnlyList<KeyValuePair<string, object?>>, formatter(state, exception), suppressed);
            inner.Log(logLevel, eventId, told, exception, static (told, _) => told.ToString());
        }
    }

    private sealed class Kind
    {
        private const long Never = long.MinValue;

        private long _passedAt = Never;
        private long _suppressed;

        public bool TryPass(TimeProvider time, out long suppressed)
        {
            long now = time.GetTimestamp();
            long passedAt = Volatile.Read(ref _passedAt);

            // Of several that come when the second is over, the swap lets one pass. Whoever is counted between the swap and
            // the exchange is told by this line, after it by the next: every line is passed or counted, once.
            if ((passedAt != Never && time.GetElapsedTime(passedAt, now) < Interval)
                || Interlocked.CompareExchange(ref _passedAt, now, passedAt) != passedAt)
            {
                Interlocked.Increment(ref _suppressed);
                suppressed = 0;
                return false;
            }

            suppressed = Interlocked.Exchange(ref _suppressed, 0);
            return true;
        }
    }
}
