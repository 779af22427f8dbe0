namespace PooledTcp.LoadTest.Reporting;

/// <summary>How much less than its target somebody asks for.</summary>
/// <param name="Factor">So many times worse than the limit is good enough.</param>
/// <param name="BestCounts">The best of all values is compared, whatever the target looks at.</param>
internal readonly record struct Leeway(double Factor, bool BestCounts);
