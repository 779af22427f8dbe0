using PooledTcp.LoadTest.Statistics;
using Xunit;

namespace PooledTcp.Tests.Benchmarks;

/// <summary>The statistics that the speed targets rest on.</summary>
public sealed class SampleTests
{
    [Fact]
    public void The_median_is_the_middle_one_or_between_the_two_middle_ones()
    {
        Assert.Equal(2, new Sample(3, 1, 2).Median);
        Assert.Equal(2.5, new Sample(4, 1, 3, 2).Median);
        Assert.Equal(7, new Sample(7).Median);
    }

    [Fact]
    public void Of_a_few_values_the_interval_is_all_of_them()
    {
        Sample sample = new(5, 1, 3, 2, 4);
        Assert.Equal((1, 5), (sample.Low, sample.High));
        Assert.Equal((1, 5), (sample.Min, sample.Max));
    }

    /// <summary>
    /// How often the interval holds the true median, exactly: that between k and n - k of n values fall below it, by the
    /// binomial distribution. Were it wider than it has to be, targets would be reached by noise.
    /// </summary>
    [Fact]
    public void The_interval_holds_the_true_median_in_95_of_100_cases_and_is_no_wider()
    {
        for (int n = 6; n <= 101; n++)
        {
            Sample sample = new(Enumerable.Range(0, n).Select(static i => (double)i));
            int low = (int)sample.Low;
            Assert.Equal(n - 1 - low, (int)sample.High);
            Assert.InRange(Coverage(n, low), 0.95, 1);
            Assert.True(Coverage(n, low + 1) < 0.95);
        }
    }

    [Fact]
    public async Task Ratios_are_formed_inside_each_round()
    {
        // The machine becomes ten times as slow from one round to the next, which is in every time and in no ratio.
        int measured = 0;
        Rounds<string, double> rounds = await Rounds<string, double>.RunAsync(
            ["once", "twice"],
            rounds: 5,
            warmUps: 1,
            contender => Task.FromResult(Math.Pow(10, measured++ / 2) * (contender == "once" ? 1 : 2)),
            static _ => Task.CompletedTask,
            new Neighbours(),
            TestContext.Current.CancellationToken);
        Sample ratio = rounds.Ratio("twice", "once", static time => time);
        Assert.Equal((5, 2, 2), (ratio.Count, ratio.Min, ratio.Max));
        Assert.True(rounds.Of("once", static time => time).Max >= 10_000 * rounds.Of("once", static time => time).Min);
    }

    /// <summary>That the value of rank <paramref name="low"/> lies below the true median and its mirror image above.</summary>
    private static double Coverage(int n, int low)
    {
        double outside = 0;
        double chance = Math.Pow(0.5, n);
        for (int below = 0; below <= low; below++)
        {
            outside += chance;
            chance *= (double)(n - below) / (below + 1);
        }

        return 1 - (2 * outside);
    }
}
