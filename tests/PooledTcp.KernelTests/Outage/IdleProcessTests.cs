using System.Diagnostics;
using PooledTcp.KernelTests.Harness;
using Xunit;

namespace PooledTcp.KernelTests.Outage;

/// <summary>
/// After a churn that left 2,000 TIME_WAITs the process does nothing: the ledger and the kernel have to agree all the time,
/// until neither has any. Beside it, an endpoint that keeps ten connections ready and replaces each every few seconds.
/// </summary>
public sealed class IdleProcessTests
{
    private const int Closes = 2000;
    private const int Kept = 10;

    // A TIME_WAIT lasts 60 s, and its token comes back after 65.2 (KernelPortSettings.TimeWaitHold).
    private const double KernelHolds = 60;
    private const double LedgerHolds = 65.2;

    public sealed record Look(double Seconds, int Owed, int TimeWaits, int KeptOwed, int KeptTimeWaits)
    {
        public override string ToString() => FormattableString.Invariant(
            $"{Seconds:F1} s: owed {Owed}, kernel {TimeWaits}; kept ready: owed {KeptOwed}, kernel {KeptTimeWaits}");
    }

    public sealed record Quiet(double ChurnSeconds, List<Look> Looks, List<string> SysctlChanges);

    [Fact]
    public async Task The_ledger_agrees_with_the_kernel_for_a_minute() =>
        Check(await NetworkNamespace.RunAsync(IdleForAMinuteAsync, NamespaceSettings.FullRange.With("tcp_tw_reuse", "0")));

    /// <summary>The same for ten minutes. No test: by hand, with the program's argument <see cref="Program.TenMinutes"/>.</summary>
    internal static async Task StayIdleForTenMinutesAsync() =>
        Check(await NetworkNamespace.RunAsync(
            IdleForTenMinutesAsync, NamespaceSettings.FullRange.With("tcp_tw_reuse", "0"), TimeSpan.FromMinutes(12)));

    private static Task<Quiet> IdleForAMinuteAsync() => IdleAsync(TimeSpan.FromSeconds(70), TimeSpan.FromSeconds(2));

    private static Task<Quiet> IdleForTenMinutesAsync() => IdleAsync(TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(10));

    /// <param name="length">From the end of the churn: a slow machine takes its time for that.</param>
    /// <param name="period">Of the looks.</param>
    private static async Task<Quiet> IdleAsync(TimeSpan length, TimeSpan period)
    {
        Dictionary<string, string> sysctls = Sysctls.Read();
        using SmallServer server = SmallServer.Start(5001);
        using SmallServer other = SmallServer.Start(5002);
        await using var client = new PooledTcpClient(new PooledTcpOptions()
            .AddEndpoint("server", endpoint =>
            {
                endpoint.Address = $"{server.EndPoint}";
                endpoint.MaxUses = 1;
                endpoint.RentTimeout = TimeSpan.FromMinutes(2);
                endpoint.ConnectTimeout = TimeSpan.FromMinutes(1);
                endpoint.MaxWaiters = Closes;
                endpoint.Shutdown.ClosesFirst = ClosesFirst.Client;
            })
            .AddEndpoint("kept", endpoint =>
            {
                endpoint.Address = $"{other.EndPoint}";
                endpoint.MinIdleConnections = Kept;
                endpoint.Lifetime = TimeSpan.FromSeconds(5);
                endpoint.Shutdown.ClosesFirst = ClosesFirst.Client;
            }));
        TcpPool pool = client.GetPool("server");
        TcpPool kept = client.GetPool("kept");

        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, Closes).Select(_ => Churn.ExchangeAsync(pool)));
        await KernelView.UntilAsync(() => pool.GetSnapshot().Closing == 0, "every close has ended");

        double churned = clock.Elapsed.TotalSeconds;
        var looks = new List<Look>();
        while (looks.Count == 0 || looks[^1].Seconds < churned + length.TotalSeconds)
        {
            await Task.Delay(looks.Count == 0 ? TimeSpan.Zero : period);

            // The kernel first. In between a close may end, which only adds to the ledger.
            double now = clock.Elapsed.TotalSeconds;
            (int timeWaits, int keptTimeWaits) = (Sockets.ClientTimeWaits(5001), Sockets.ClientTimeWaits(5002));
            (TcpPoolSnapshot one, TcpPoolSnapshot two) = (pool.GetSnapshot(), kept.GetSnapshot());
            looks.Add(new Look(now, one.TimeWaitOwed + one.Closing, timeWaits, two.TimeWaitOwed + two.Closing, keptTimeWaits));
        }

        return new Quiet(churned, looks, Sysctls.ChangesSince(sysctls));
    }

    private static void Check(Quiet seen)
    {
        // By hand there is no test to write for.
        Action<string> tell = TestContext.Current.TestOutputHelper is { } output ? output.WriteLine : Console.WriteLine;
        foreach (Look look in seen.Looks)
        {
            tell($"{look}");
        }

        Assert.All(seen.Looks, look =>
        {
            // Never too few, and while none has run out, exact; in the five seconds of difference, too many.
            Assert.InRange(look.TimeWaits, 0, look.Owed);
            Assert.InRange(look.KeptTimeWaits, 0, look.KeptOwed);
            if (look.Seconds < KernelHolds - 1)
            {
                Assert.InRange(look.Owed, Closes * 0.98, Closes);
                Assert.InRange(look.TimeWaits, look.Owed * 0.98, look.Owed);
            }

            if (look.Seconds > seen.ChurnSeconds + LedgerHolds + 1)
            {
                Assert.Equal((0, 0), (look.Owed, look.TimeWaits));
            }

            // Those of the five seconds after a minute are in the ledger alone: a twelfth, and one generation at most.
            Assert.InRange(look.KeptOwed, look.KeptTimeWaits, (look.KeptTimeWaits * LedgerHolds / KernelHolds) + Kept);
        });
        Assert.True(seen.Looks[^1].Seconds > seen.ChurnSeconds + LedgerHolds + 1, "The last look came too early.");
        Assert.True(seen.Looks[^1].KeptTimeWaits > Kept, "Nothing was replaced.");
        Assert.Empty(seen.SysctlChanges);
    }
}
