using PooledTcp.LoadTest.Reporting;

namespace PooledTcp.LoadTest;

/// <summary>
/// What <c>.ci/run</c> asks of the targets, on a machine that has other things to do as well: what is counted and not timed, and
/// ratios with so much leeway that only a blunder misses them. Left out are targets that a busy machine decides: callers that rent
/// at the same moment (they seldom do if there are more threads than processors), end to end against rivals, CPU time, seconds.
/// </summary>
internal static class Check
{
    private static readonly Leeway Exact = new(1, BestCounts: false);

    /// <summary>A machine that stops for 150 ms has a part in it, in one round, but not in every one.</summary>
    private static readonly Leeway Once = new(1, BestCounts: true);

    private static readonly Leeway Blunder = new(3, BestCounts: true);

    /// <summary>
    /// Of 2 B each. The harness has some hundred in each slice, and few requests in it when others use the machine; the smallest object
    /// that a request can allocate has 24.
    /// </summary>
    private static readonly Leeway NoObject = new(5, BestCounts: true);

    public static IReadOnlyDictionary<string, Leeway> Asked { get; } = new Dictionary<string, Leeway>(StringComparer.Ordinal)
    {
        ["T1.synchronous"] = Blunder,
        ["T1.awaited"] = Blunder,
        ["T1.keyed"] = Blunder,
        ["T1.keyed-by-name"] = Blunder,
        ["T1.bytes"] = Exact,
        ["T1.clock"] = Exact,
        ["T2.half"] = Blunder,
        ["T2.bytes"] = NoObject,
        ["T3.raw-32"] = Blunder,
        ["T3.bytes-32"] = NoObject,
        ["T5.connections"] = Once,
        ["T6.dials-4"] = Exact,
        ["T6.dials-100"] = Exact,
        ["T6.time"] = Blunder,
        ["T6.bytes"] = Once,
        ["T6.connections"] = Once,
        ["T6.errors"] = Exact,
        ["T8.handle"] = Blunder,
        ["T8.name"] = Blunder,
        ["T8.gone"] = Exact,
        ["T10.errors"] = Exact,
        ["T10.dials"] = Exact,
    };
}
