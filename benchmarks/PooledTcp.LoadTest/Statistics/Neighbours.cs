using System.Globalization;

namespace PooledTcp.LoadTest.Statistics;

/// <summary>
/// What others did on this machine while we measured, as the kernel accounts for it: all CPU time but that of our processes, and
/// what a hypervisor took away. Loopback's soft interrupts are in the time of the process they interrupt, and so in ours, unless
/// the kernel was built with IRQ_TIME_ACCOUNTING: there they look like somebody else's, and more rounds are repeated than need be.
/// </summary>
internal sealed class Neighbours
{
    /// <summary>Of all processors. What this program's own idle threads and the kernel's do stays far below.</summary>
    private const double Limit = 0.08;

    /// <summary>Ticks: the kernel's and the processes' accounts are each rounded, and in a round of 60 ms one tick is that much.</summary>
    private const int Rounding = 2;

    // Fields of the first line of /proc/stat: see proc_stat(5). Those behind Steal are in User already.
    private const int Idle = 3, IoWait = 4, Steal = 7;

    private readonly int[] _ours = [];
    private readonly Func<bool>? _told;
    private Reading _begin;

    /// <param name="ours">The servers of this measurement; this process is one of ours anyway.</param>
    public Neighbours(params IEnumerable<int> ours)
    {
        _ours = [Environment.ProcessId, .. ours];
        Begin();
    }

    /// <param name="told">Whether the round that has just ended was disturbed, for tests of what becomes of it.</param>
    public Neighbours(Func<bool> told) => _told = told;

    public void Begin() => _begin = Read();

    /// <summary>Since <see cref="Begin"/>. Never where there is no /proc.</summary>
    public bool Disturbed
    {
        get
        {
            if (_told is not null)
            {
                return _told();
            }

            Reading now = Read();
            long all = now.All - _begin.All;
            return all > 0 && now.Busy - _begin.Busy - (now.Ours - _begin.Ours) > Math.Max(Limit * all, Rounding);
        }
    }

    private Reading Read()
    {
        try
        {
            long[] cpu = [.. File.ReadLines("/proc/stat").First()
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Skip(1)
                .Select(static text => long.Parse(text, CultureInfo.InvariantCulture))];
            long all = cpu.Take(Steal + 1).Sum();
            return new Reading(all, all - cpu[Idle] - cpu[IoWait], _ours.Sum(ProcessTime.ReadTicks));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }

    private readonly record struct Reading(long All, long Busy, long Ours);
}
