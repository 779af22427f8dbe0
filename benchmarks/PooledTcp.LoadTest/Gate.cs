using System.Diagnostics;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Scenarios;

namespace PooledTcp.LoadTest;

/// <summary>A short form of every target, one after the other. What cannot be measured has failed.</summary>
internal static class Gate
{
    public static async Task RunAsync(Report report, Effort effort, IReadOnlyCollection<string> only, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        foreach (Scenario scenario in Scenario.All.Where(s => s.TargetIds.Any(report.Asks) && (only.Count == 0 || only.Contains(s.Name))))
        {
            long begin = Stopwatch.GetTimestamp();
            try
            {
                await scenario.RunAsync(report, effort, cancellationToken);
            }
            catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
            {
                report.Fail(scenario.Targets, e);
            }

            report.Note($"{scenario.Name} took {Stopwatch.GetElapsedTime(begin).TotalSeconds:F0} s");
        }

        if (only.Count == 0 && effort != Effort.Smoke)
        {
            report.FailUnanswered(Asked.ByGate);
        }

        report.Title($"{report.Targets.Count} targets in {Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s");
        foreach (Target target in report.Targets)
        {
            report.Note($"{(target.Pass ? "ok    " : "FAILED")} {target.Id,-20} {Report.Text(target.Value),10}  {target.Bound} {Report.Text(target.Limit)} {target.Unit}{target.Noise}");
        }

        report.TellDisturbed();
    }
}
