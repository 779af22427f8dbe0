using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Xunit;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>
/// Judges whether rents end by their deadline: 99.9 % of them within 50 ms after it, all within 500 ms. What the machine
/// itself was late with meanwhile (<see cref="MachineDelay"/>) is not counted, and once more its worst delay is granted,
/// since a rent takes several of its steps: on an idle machine that is a few milliseconds, on a crowded one the verdict
/// yields instead of blaming the pool.
/// </summary>
internal sealed class DeadlineAudit(MachineDelay machine)
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan AtAll = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentQueue<TimeSpan> _late = new();
    private readonly ConcurrentQueue<TimeSpan> _raw = new();

    /// <param name="started">Timestamp at which the rent was asked for.</param>
    /// <param name="took">How long it took to end, whatever its result.</param>
    /// <param name="timeout">Its deadline.</param>
    public void Record(long started, TimeSpan took, TimeSpan timeout)
    {
        TimeSpan late = took - timeout;
        if (late <= TimeSpan.Zero)
        {
            _raw.Enqueue(TimeSpan.Zero);
            _late.Enqueue(TimeSpan.Zero);
            return;
        }

        long deadline = started + Ticks(timeout);
        TimeSpan machines = machine.Within(deadline, deadline + Ticks(late));
        _raw.Enqueue(late);
        _late.Enqueue(late - machines);
    }

    public Lateness Judge() => new(_late.Count, Rank(_late, 0.999), Rank(_late, 1), Rank(_raw, 0.999), Rank(_raw, 1), machine.Worst);

    private static TimeSpan Rank(IEnumerable<TimeSpan> values, double share)
    {
        TimeSpan[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? TimeSpan.Zero : sorted[(int)Math.Ceiling(share * sorted.Length) - 1];
    }

    private static long Ticks(TimeSpan span) => (long)(span.TotalSeconds * Stopwatch.Frequency);

    /// <param name="Rents">How many rents were judged.</param>
    /// <param name="P999">99.9 % of them ended at most that long after their deadline, the machine's delays not counted.</param>
    /// <param name="Max">And all of them.</param>
    /// <param name="RawP999">The same by the clock alone.</param>
    /// <param name="RawMax">And all of them.</param>
    /// <param name="Machine">The longest delay of anything bare meanwhile.</param>
    internal readonly record struct Lateness(int Rents, TimeSpan P999, TimeSpan Max, TimeSpan RawP999, TimeSpan RawMax, TimeSpan Machine)
    {
        public bool IsMet => P999 <= Soon + Machine && Max <= AtAll + Machine;

        public void AssertMet() => Assert.True(IsMet, ToString());

        public override string ToString() => string.Create(
            CultureInfo.InvariantCulture,
            $"{Rents} rents, past the deadline p99.9 {P999.TotalMilliseconds:F1} max {Max.TotalMilliseconds:F1} ms (by the clock {RawP999.TotalMilliseconds:F1} and {RawMax.TotalMilliseconds:F1} ms), machine late by up to {Machine.TotalMilliseconds:F1} ms");
    }
}
