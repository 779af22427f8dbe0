using PooledTcp.LoadTest;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;
using Xunit;

namespace PooledTcp.Tests.Benchmarks;

/// <summary>How targets are decided, for the gate and with the leeway of <c>.ci/run</c>.</summary>
public sealed class ReportTests
{
    private static readonly Sample OneToFive = new(1, 2, 3, 4, 5) { Repeated = 6, Disturbed = 7 };

    [Fact]
    public void The_gate_takes_the_number_that_the_target_names()
    {
        Report report = new(TextWriter.Null, Effort.Short);
        report.AtMost("median", OneToFive, 2.9, "ns", "");
        report.NeverAbove("max", OneToFive, 4.9, "ns", "");
        report.AtLeast("rate", OneToFive, 3, "1/s", "");
        report.Reaches("reached", OneToFive, 5, "1/s", "");
        Assert.Equal([3, 5, 3, 5], report.Targets.Select(static target => target.Value));
        Assert.Equal([false, false, true, true], report.Targets.Select(static target => target.Pass));
        Assert.False(report.Passed);
    }

    [Fact]
    public void A_target_tells_what_others_had_to_do_with_it()
    {
        Report report = new(TextWriter.Null, Effort.Short);
        report.AtMost("disturbed", OneToFive, 3, "ns", "");
        report.AtMost("quiet", new Sample(1), 3, "ns", "");
        Assert.Equal((6, 7), (report.Targets[0].Repeated, report.Targets[0].Disturbed));
        Assert.Contains("6 rounds repeated, 7 kept", report.Targets[0].Noise, StringComparison.Ordinal);
        Assert.Empty(report.Targets[1].Noise);
    }

    [Fact]
    public void Leeway_loosens_the_limit_in_its_own_direction_and_lets_the_best_count()
    {
        Report report = new(TextWriter.Null, Effort.Short, new Dictionary<string, Leeway> { ["time"] = new(3, BestCounts: true), ["rate"] = new(4, BestCounts: true), ["exact"] = new(1, BestCounts: false) });
        report.AtMost("time", OneToFive, 0.3, "ns", "");
        report.AtLeast("rate", OneToFive, 20, "1/s", "");
        report.NeverAbove("exact", OneToFive, 4, "B", "");
        Assert.Equal([0.9, 5, 4], report.Targets.Select(static target => Math.Round(target.Limit, 6)));
        Assert.Equal([1, 5, 5], report.Targets.Select(static target => target.Value));
        Assert.Equal([false, true, false], report.Targets.Select(static target => target.Pass));
    }

    [Fact]
    public void Who_asks_for_some_targets_gets_those_and_no_other()
    {
        Report report = new(TextWriter.Null, Effort.Short, new Dictionary<string, Leeway> { ["T1.bytes"] = new(1, BestCounts: false) });
        Assert.True(report.Asks("T1"));
        Assert.True(report.Asks("T1.bytes"));
        Assert.False(report.Asks("T1.b"));
        Assert.False(report.Asks("T10"));
        Assert.True(new Report(TextWriter.Null, Effort.Short).Asks("T10"));
        report.NeverAbove("T1.clock", OneToFive, 0, "reads", "");
        report.NeverAbove("T1.bytes", new Sample(0), 0, "B", "");
        Assert.Equal("T1.bytes", Assert.Single(report.Targets).Id);
        report.FailUnanswered(["T1.bytes", "T1.of old"]);
        Assert.True(report.Passed);
    }

    [Fact]
    public void A_target_that_nobody_decided_has_failed_who_asked_for_it()
    {
        Report report = new(TextWriter.Null, Effort.Short, new Dictionary<string, Leeway> { ["T1.of old"] = new(1, BestCounts: false) });
        report.FailUnanswered(["T1.bytes", "T1.of old"]);
        Target target = Assert.Single(report.Targets);
        Assert.Equal(("T1.of old", null, false), (target.Id, target.Value, target.Pass));
    }

    [Fact]
    public void The_gate_misses_what_nobody_decided()
    {
        Report report = new(TextWriter.Null, Effort.Short);
        report.NeverAbove("T1.bytes", new Sample(0), 0, "B", "");
        report.FailUnanswered(["T1.bytes", "T1.of old"]);
        Assert.False(report.Passed);
        Assert.Equal("T1.of old", Assert.Single(report.Targets, static target => !target.Pass).Id);
    }
}
