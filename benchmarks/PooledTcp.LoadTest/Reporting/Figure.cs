using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Reporting;

/// <summary>One measured figure, as it stands in the JSON of a command.</summary>
/// <param name="Measure">What was measured.</param>
/// <param name="Series">Of whom.</param>
/// <param name="X">Under how much of <paramref name="Axis"/>.</param>
/// <param name="Axis">Callers, keys, connections, closes/s ...</param>
/// <param name="Unit">Of the values.</param>
/// <param name="Median">Over all rounds.</param>
/// <param name="Low">Lower end of the median's 95 % interval.</param>
/// <param name="High">Its upper end.</param>
/// <param name="Min">The smallest value of all rounds.</param>
/// <param name="Max">The largest.</param>
/// <param name="Rounds">How many there were.</param>
internal sealed record Figure(
    string Measure, string Series, double X, string Axis, string Unit, double Median, double Low, double High, double Min, double Max, int Rounds)
{
    public static Figure Of(string measure, string series, double x, string axis, string unit, Sample sample) =>
        new(measure, series, x, axis, unit, sample.Median, sample.Low, sample.High, sample.Min, sample.Max, sample.Count);
}
