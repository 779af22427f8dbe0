using PooledTcp.KernelTests.Outage;
using PooledTcp.LoadTest.Namespaces;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// T9: every exchange closes its connection, 2,000 times a second, towards one destination. The gate's form is the same rate for 20 s
/// instead of 3 minutes: connect per request would have run out of ports after 14, and the pool's account is full after 4. It cannot
/// show that what is owed is settled and owed again: the kernel keeps a TIME_WAIT for 60 s, which no setting shortens, and none ends
/// before.
/// </summary>
internal static class ChurnScenario
{
    /// <summary>Of the 28,232 ports of the range: a quarter, the default.</summary>
    private const int TimeWaitShare = 28_232 / 4;

    /// <summary>Of the rate that is offered: a load that was not carried would keep the other limits as well.</summary>
    private const int CarriedPerSecond = Churn.PerSecond * 95 / 100;

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        (Func<Task<ChurnResult>> play, string length) = effort.Pick<(Func<Task<ChurnResult>>, string)>(
            (ForThreeMinutesAsync, "3 minutes"), (ForTwentySecondsAsync, "20 s; TIME_WAITs last 60, so none ends and nothing of the share comes back: churn does 3 minutes"), (ForTwoSecondsAsync, "2 s"));
        report.Title($"{Churn.PerSecond} closes/s to one destination for {length} (T9)");
        ChurnResult churn = await Namespaced.PlayAsync(play, cancellationToken);
        report.Note(churn.ToString());
        string who = $"{Churn.PerSecond} closes/s for {length}";
        report.Add("churn", "PooledTcp", Churn.PerSecond, "closes/s", "us at p99", new Sample(churn.P99Microseconds));
        report.Add("churn", "PooledTcp", Churn.PerSecond, "closes/s", "client TIME_WAITs at most", new Sample(churn.MaxClientTimeWaits));
        report.AtLeast("T9.carried", new Sample(churn.Created / churn.Took.TotalSeconds), CarriedPerSecond, "closes/s", $"connections created in the time that it took, {who}");
        report.NeverAbove("T9.errors", new Sample(churn.Failures.Values.Sum()), 0, "errors", $"that reached a caller, {who}");
        report.NeverAbove("T9.time-wait", new Sample(churn.MaxClientTimeWaits), TimeWaitShare, "TIME_WAITs", $"of the client by the kernel, {churn.Looks} looks, {who}");
        if (effort == Effort.Full)
        {
            double? failed = await Namespaced.PlayAsync(ConnectPerRequest.FindFirstFailureAsync, cancellationToken);
            if (failed is { } seconds)
            {
                report.Add("churn", "connect per request", Churn.PerSecond, "closes/s", "s until the first error", new Sample(seconds));
            }
            else
            {
                report.Note("connect per request met no error: it had more ports than it should");
            }
        }
    }

    private static Task<ChurnResult> ForThreeMinutesAsync() => ForAsync(TimeSpan.FromMinutes(3));

    private static Task<ChurnResult> ForTwentySecondsAsync() => ForAsync(TimeSpan.FromSeconds(20));

    private static Task<ChurnResult> ForTwoSecondsAsync() => ForAsync(TimeSpan.FromSeconds(2));

    private static Task<ChurnResult> ForAsync(TimeSpan length) => Churn.RunAsync(static _ => { }, length);
}
