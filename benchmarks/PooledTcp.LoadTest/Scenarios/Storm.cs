namespace PooledTcp.LoadTest.Scenarios;

/// <summary>One storm, of <see cref="StormScenario"/>.</summary>
/// <param name="Milliseconds">Until all callers were answered.</param>
/// <param name="BytesEach">Allocated for each rent.</param>
/// <param name="Errors">Of the callers.</param>
/// <param name="Connections">Opened by the pool; 0 for the others.</param>
internal sealed record Storm(double Milliseconds, double BytesEach, int Errors, int Connections);
