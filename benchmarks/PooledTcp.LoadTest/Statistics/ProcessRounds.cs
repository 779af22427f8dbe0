namespace PooledTcp.LoadTest.Statistics;

/// <summary>The rounds of one process, as a child hands them to its parent.</summary>
/// <param name="Repeated">Rounds that were thrown away, since others used the machine.</param>
/// <param name="Disturbed">Such rounds that are in the values all the same.</param>
/// <param name="Values">Of each contender, one for each round: equal places belong to the same round.</param>
internal sealed record ProcessRounds(int Repeated, int Disturbed, IReadOnlyDictionary<string, double[]> Values);
