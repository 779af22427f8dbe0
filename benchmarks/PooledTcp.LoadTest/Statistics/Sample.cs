namespace PooledTcp.LoadTest.Statistics;

/// <summary>The values of one figure over all rounds.</summary>
internal sealed class Sample
{
    /// <summary>How often the true median may lie below the interval; and so often above.</summary>
    private const double Outside = 0.025;

    private readonly double[] _sorted;
    private readonly int _rank;

    public Sample(params IEnumerable<double> values)
    {
        _sorted = [.. values.Order()];
        if (_sorted.Length == 0)
        {
            throw new ArgumentException("A sample has a value at least.", nameof(values));
        }

        _rank = RankOf(_sorted.Length);
    }

    public int Count => _sorted.Length;

    /// <summary>Rounds that were thrown away, since others used the machine.</summary>
    public int Repeated { get; init; }

    /// <summary>Such rounds that are among the values all the same: there were too many to repeat.</summary>
    public int Disturbed { get; init; }

    public double Min => _sorted[0];

    public double Max => _sorted[^1];

    public double Median => _sorted.Length % 2 == 1
        ? _sorted[_sorted.Length / 2]
        : (_sorted[(_sorted.Length / 2) - 1] + _sorted[_sorted.Length / 2]) / 2;

    /// <summary>The lower end of the median's 95 % interval.</summary>
    public double Low => _sorted[_rank];

    /// <summary>Its upper end.</summary>
    public double High => _sorted[^(_rank + 1)];

    /// <summary>
    /// How many values are left out at each end: as many as the binomial distribution of how many fall below the true median
    /// allows, exactly, with no assumption about their own. Below six values the interval is all of them, and not 95 %.
    /// </summary>
    private static int RankOf(int count)
    {
        double exactly = Math.Pow(0.5, count);
        double atMost = exactly;
        int rank = 0;
        for (; rank < count / 2; rank++)
        {
            exactly *= (double)(count - rank) / (rank + 1);
            atMost += exactly;
            if (atMost > Outside)
            {
                break;
            }
        }

        return rank;
    }
}
