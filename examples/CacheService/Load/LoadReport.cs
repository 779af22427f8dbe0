using System.Globalization;

namespace CacheService.Load;

/// <summary>What became of the requests.</summary>
internal sealed class LoadReport
{
    private const int Slowest = 3;

    private readonly int _callers;
    private readonly TimeSpan _duration;
    private readonly LoadSample[] _samples;

    /// <param name="samples">Kept, and sorted by duration.</param>
    public LoadReport(int callers, TimeSpan duration, LoadSample[] samples)
    {
        _callers = callers;
        _duration = duration;
        _samples = samples;
        Array.Sort(samples, static (a, b) => a.Took.CompareTo(b.Took));
    }

    public void Write(TextWriter output)
    {
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{_callers} callers, {_duration.TotalSeconds:0.0} s: {_samples.Length} requests, {_samples.Length / _duration.TotalSeconds:0} a second"));
        foreach (IGrouping<string, LoadSample> outcome in _samples.GroupBy(static sample => sample.Outcome).OrderBy(static group => group.Key, StringComparer.Ordinal))
        {
            output.WriteLine($"  {outcome.Key,-28} {outcome.Count(),8}");
        }

        if (_samples.Length == 0)
        {
            return;
        }

        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"  p50 {Quantile(0.5):0.0} ms   p99 {Quantile(0.99):0.0} ms   longest {Quantile(1):0.0} ms"));
        output.WriteLine("slowest:");
        foreach (LoadSample sample in _samples.Reverse().Take(Slowest))
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"  {sample.Took.TotalMilliseconds,7:0.0} ms  {sample.Request,-24} trace {sample.Trace}"));
        }
    }

    private double Quantile(double q) => _samples[(int)Math.Ceiling(q * _samples.Length) - 1].Took.TotalMilliseconds;
}
