using PooledTcp.LoadTest.Statistics;
using Xunit;

namespace PooledTcp.Tests.Benchmarks;

/// <summary>What is measured in several processes.</summary>
public sealed class ProcessesTests
{
    private static readonly Processes Three = new(
    [
        Process(repeated: 1, disturbed: 0, slow: [30, 10, 200], fast: [10, 10, 100]),
        Process(repeated: 0, disturbed: 2, slow: [50, 50], fast: [10, 10]),
        Process(repeated: 3, disturbed: 1, slow: [8], fast: [2]),
    ]);

    [Fact]
    public void Each_process_counts_once_by_its_median()
    {
        Sample slow = Three.Of("slow");
        Assert.Equal((3, 8, 30, 50), (slow.Count, slow.Min, slow.Median, slow.Max));
    }

    [Fact]
    public void Ratios_are_formed_inside_each_round_of_each_process()
    {
        // By rounds 3, 1, 2; 5, 5; 4. The ratios of the medians would be 3, 5 and 4.
        Sample ratio = Three.Ratio("slow", "fast");
        Assert.Equal((3, 2, 4, 5), (ratio.Count, ratio.Min, ratio.Median, ratio.Max));
    }

    [Fact]
    public void A_sample_knows_what_was_disturbed_in_all_processes()
    {
        Assert.Equal((4, 3), (Three.Repeated, Three.Disturbed));
        Sample ratio = Three.Ratio("slow", "fast");
        Assert.Equal((4, 3), (ratio.Repeated, ratio.Disturbed));
    }

    [Fact]
    public async Task Rounds_keep_their_places_on_the_way_to_another_process()
    {
        // Of three rounds one may be repeated: the first is thrown away, and the third, disturbed as well, stays.
        Queue<bool> disturbed = new([true, false, true, false]);
        int measured = 0;
        Rounds<string, double> rounds = await Rounds<string, double>.RunAsync(
            ["once", "twice"],
            rounds: 3,
            warmUps: 0,
            contender => Task.FromResult(Math.Pow(10, measured++ / 2) * (contender == "once" ? 1 : 2)),
            static _ => Task.CompletedTask,
            new Neighbours(disturbed.Dequeue),
            TestContext.Current.CancellationToken);
        ProcessRounds exported = rounds.Export(static time => time);
        Assert.Equal(["once", "twice"], exported.Values.Keys);
        Assert.Equal(exported.Values["once"].Select(static time => 2 * time), exported.Values["twice"]);
        Assert.Equal([10, 100, 1000], exported.Values["once"]);
        Assert.Equal((1, 1), (exported.Repeated, exported.Disturbed));
        Sample once = rounds.Of("once", static time => time);
        Assert.Equal((1, 1), (once.Repeated, once.Disturbed));
    }

    private static ProcessRounds Process(int repeated, int disturbed, double[] slow, double[] fast) =>
        new(repeated, disturbed, new Dictionary<string, double[]> { ["slow"] = slow, ["fast"] = fast });
}
