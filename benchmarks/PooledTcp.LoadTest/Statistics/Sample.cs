namespace PooledTcp.LoadTest.Statistics;

/// <summary>The values of one figure over all rounds.</summary>
internal sealed class Sample
{
    /// <summary>The 97.5th percentile of the normal distribution.</summary>
    private const double Quantile = 1.96;

    private readonly double[] _sorted;

    public Sample(params IEnumerable<double> values)
    {
        _sorted = [.. values.Order()];
        if (_sorted.Length == 0)
        {
            throw new ArgumentException("A sample has a value at least.", nameof(values));
        }
    }

    public int Count => _sorted.Length;

    public double Min => _sorted[0];

    public double Max => _sorted[^1];

    public double Median => _sorted.Length % 2 == 1
        ? _sorted[_sorted.Length / 2]
        : (_sorted[(_sorted.Length / 2) - 1] + _sorted[_sorted.Length / 2]) / 2;

    /// <summary>The lower end of the median's 95 % interval.</summary>
    public double Low => _sorted[Rank];

    /// <summary>Its upper end.</summary>
    public double High => _sorted[^(Rank + 1)];

    /// <summary>
    /// How many values are left out at each end: by the binomial distribution of how many fall below the true median, which
    /// assumes nothing of their own. Below six values the interval is all of them.
    /// </summary>
    private int Rank => Math.Max(0, (int)Math.Floor((_sorted.Length - (Quantile * Math.Sqrt(_sorted.Length))) / 2));
}
