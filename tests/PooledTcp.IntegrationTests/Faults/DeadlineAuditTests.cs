using System.Diagnostics;
using Xunit;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>The judge can condemn, and it acquits what only the machine delayed.</summary>
public sealed class DeadlineAuditTests
{
    private static readonly TimeSpan Timeout = TimeSpan.FromMilliseconds(100);

    [Theory]
    [InlineData(1000, 40, 0, true)]
    [InlineData(1000, 300, 0, false)] // p99.9
    [InlineData(10_000, 300, 0, true)] // one of ten thousand may be that late
    [InlineData(10_000, 700, 0, false)] // but not that late
    [InlineData(1000, 300, 280, true)] // the machine's
    [InlineData(1000, 900, 100, false)] // the machine's in part
    public void One_late_rent_among_punctual_ones(int rents, int lateMs, int machineMs, bool met)
    {
        using var machine = new MachineDelay();
        var audit = new DeadlineAudit(machine);
        long start = Stopwatch.GetTimestamp() - (10 * Stopwatch.Frequency); // long before anything real was measured
        if (machineMs > 0)
        {
            machine.Note(start + At(Timeout), start + At(Timeout + TimeSpan.FromMilliseconds(machineMs)));
        }

        for (int i = 0; i < rents - 2; i++)
        {
            audit.Record(start, Timeout, Timeout);
        }

        // Two of a thousand are more than a thousandth, two of ten thousand are not.
        audit.Record(start, Timeout + TimeSpan.FromMilliseconds(lateMs), Timeout);
        audit.Record(start, Timeout + TimeSpan.FromMilliseconds(lateMs), Timeout);
        DeadlineAudit.Lateness verdict = audit.Judge() with { Machine = TimeSpan.FromMilliseconds(machineMs) };

        Assert.Equal(rents, verdict.Rents);
        Assert.True(verdict.IsMet == met, verdict.ToString());
    }

    [Fact]
    public void Delays_that_overlap_are_counted_once()
    {
        using var machine = new MachineDelay();
        long second = Stopwatch.Frequency;
        machine.Note(1 * second, 3 * second);
        machine.Note(2 * second, 4 * second);
        machine.Note(2 * second, 3 * second);
        machine.Note(8 * second, 9 * second);

        Assert.Equal(TimeSpan.FromSeconds(3), machine.Within(0, 5 * second));
        Assert.Equal(TimeSpan.FromSeconds(1.5), machine.Within(5 * second / 2, 8 * second));
        Assert.Equal(TimeSpan.FromSeconds(0), machine.Within(5 * second, 8 * second));
        Assert.True(machine.Worst >= TimeSpan.FromSeconds(2));
    }

    private static long At(TimeSpan span) => (long)(span.TotalSeconds * Stopwatch.Frequency);
}
