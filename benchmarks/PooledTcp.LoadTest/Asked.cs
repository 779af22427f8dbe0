using PooledTcp.LoadTest.Reporting;

namespace PooledTcp.LoadTest;

/// <summary>
/// The targets that have to be decided, each with what <c>.ci/run</c> asks of it, on a machine that has other things to do as well: what is
/// counted and not timed, and ratios with so much leeway that only a blunder misses them. Null for what it does not ask, as a busy
/// machine decides it: callers that rent at the same moment (they seldom do if there are more threads than processors), end to end
/// against rivals, CPU time, seconds.
/// </summary>
internal static class Asked
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

    private static readonly Dictionary<string, Leeway?> All = new(StringComparer.Ordinal)
    {
        ["T1.synchronous"] = Blunder,
        ["T1.awaited"] = Blunder,
        ["T1.keyed"] = Blunder,
        ["T1.keyed-by-name"] = Blunder,
        ["T1.contended-4"] = null,
        ["T1.contended-8"] = null,
        ["T1.contended-64"] = null,
        ["T1.bytes"] = Exact,
        ["T1.clock"] = Exact,
        ["T2.half"] = Blunder,
        ["T2.all"] = null,
        ["T2.bytes"] = NoObject,
        ["T3.raw-1"] = null,
        ["T3.raw-8"] = null,
        ["T3.raw-32"] = Blunder,
        ["T3.bytes-1"] = NoObject,
        ["T3.bytes-8"] = NoObject,
        ["T3.bytes-32"] = NoObject,
        ["T3.stream-bytes-1"] = Once,
        ["T3.stream-bytes-8"] = Once,
        ["T3.stream-bytes-32"] = Once,
        ["T3.connect-1"] = null,
        ["T3.connect-8"] = null,
        ["T3.connect-32"] = null,
        ["T3.kestrel-1"] = null,
        ["T3.kestrel-8"] = null,
        ["T3.kestrel-32"] = null,
        ["T3.dotnetty-1"] = null,
        ["T3.dotnetty-8"] = null,
        ["T3.dotnetty-32"] = null,
        ["T3.dotnetty-128"] = null,
        ["T4.listened-1"] = null,
        ["T4.listened-8"] = null,
        ["T4.listened-32"] = null,
        ["T5.connections"] = Once,
        ["T6.dials-4"] = Exact,
        ["T6.dials-100"] = Exact,
        ["T6.time"] = Blunder,
        ["T6.bytes"] = Once,
        ["T6.connections"] = Exact,
        ["T6.missing"] = Once,
        ["T6.errors"] = Exact,
        ["T7.bytes"] = null,
        ["T7.cpu"] = null,
        ["T7.noticed"] = null,
        ["T7.healthy"] = null,
        ["T8.handle"] = Blunder,
        ["T8.name"] = Blunder,
        ["T8.echo"] = null,
        ["T8.gone"] = Exact,
        ["T9.carried"] = null,
        ["T9.errors"] = null,
        ["T9.time-wait"] = null,
        ["T10.errors"] = Exact,
        ["T10.dials"] = Exact,
        ["T10.proof"] = null,
    };

    /// <summary>Each is missed if nobody decides it.</summary>
    public static IReadOnlyCollection<string> ByGate => All.Keys;

    public static IReadOnlyDictionary<string, Leeway> ByCheck { get; } =
        All.Where(static target => target.Value is not null).ToDictionary(static target => target.Key, static target => target.Value!.Value, StringComparer.Ordinal);
}
