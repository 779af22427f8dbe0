using System.Text.Json;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>The example as a user runs it: its exit code, its figures, and what it leaves behind.</summary>
public sealed class OutageReplayTests
{
    private static readonly string[] FigureNames =
        ["requests", "failed", "firstFailureAt", "connects", "p50Us", "p99Us", "clientTimeWait", "serverTimeWait"];

    private static readonly string[] ChurnNames = ["policy", "offered", "ok", "failed", "clientTimeWait", "serverTimeWait", "p99Us"];
    private static readonly string[] Policies = ["connectPerRequest", "auto", "autoWithGoodbye", "server", "client"];

    private const int ChurnRequests = 296;

    // A quarter of 64 ports.
    private const int TimeWaitShare = 16;

    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task In_a_namespace_the_outage_comes_at_request_65_and_the_pool_cures_it()
    {
        (JsonElement report, ReplayRun run) = await PlayAsync();
        await using ReplayRun _ = run;
        JsonElement environment = report.GetProperty("environment");
        Assert.SkipUnless(environment.GetProperty("namespace").GetBoolean(), $"No network namespace: {environment.GetProperty("noNamespaceReason")}");

        JsonElement naive = report.GetProperty("naive");
        Assert.Equal(65, naive.GetProperty("firstFailureAt").GetInt32());
        Assert.Equal(64, naive.GetProperty("connects").GetInt32());
        Assert.Equal(naive.GetProperty("requests").GetInt32() - 64, naive.GetProperty("failed").GetInt32());
        Assert.Equal(64, naive.GetProperty("clientTimeWait").GetInt32());
        foreach (JsonElement figures in report.GetProperty("churn").EnumerateArray())
        {
            bool isClient = figures.GetProperty("policy").GetString() is "connectPerRequest" or "client";
            Assert.Equal(isClient ? 64 : ChurnRequests, figures.GetProperty("ok").GetInt32());
        }

        // Nobody gave way: where the client closes first, each of its closes costs a port.
        Assert.Equal(64, report.GetProperty("churn")[0].GetProperty("clientTimeWait").GetInt32());
        AssertCured(report, run);
    }

    [Fact]
    public async Task Without_a_namespace_it_says_why_the_outage_is_softer()
    {
        (JsonElement report, ReplayRun run) = await PlayAsync("--no-namespace");
        await using ReplayRun _ = run;

        Assert.False(report.GetProperty("environment").GetProperty("namespace").GetBoolean());
        Assert.Contains("IP_LOCAL_PORT_RANGE", run.Output, StringComparison.Ordinal);
        Assert.Contains("tcp_tw_reuse", run.Output, StringComparison.Ordinal);
        Assert.True(report.GetProperty("naive").GetProperty("failed").GetInt32() > 0, run.Output);
        AssertCured(report, run);
    }

    [Theory]
    [InlineData("INT", 130)]
    [InlineData("TERM", 143)]
    public async Task A_signal_ends_it_and_leaves_nothing_running(string signal, int exitCode)
    {
        await using ReplayRun run = ReplayRun.Start("--seconds", "60");
        await WaitForActAsync(run);

        await run.SignalAsync(signal, Cancellation);

        Assert.Equal(exitCode, await run.WaitForExitAsync(Cancellation));

        // A child that ends by itself may need a moment more on a busy machine.
        await WaitUntilAsync(() => run.LiveProcesses().Count == 0);
    }

    [Fact]
    public async Task Its_children_end_even_when_it_is_killed()
    {
        await using ReplayRun run = ReplayRun.Start("--seconds", "60");
        await WaitForActAsync(run);

        await run.SignalAsync("KILL", Cancellation);

        await run.WaitForExitAsync(Cancellation);
        await WaitUntilAsync(() => run.LiveProcesses().Count == 0);
    }

    [Theory]
    [InlineData("--seconds must be a whole number from 2 to 3600, not '1'.", "--seconds", "1")]
    [InlineData("--seconds must be a whole number from 2 to 3600, not 'soon'.", "--seconds", "soon")]
    [InlineData("--json must name a file in an existing directory, not '/nonexistent/figures.json'.", "--json", "/nonexistent/figures.json")]
    [InlineData("Unrecognized command or argument '--fast'.", "--fast")]
    public async Task A_bad_argument_is_named_in_one_line(string message, params string[] arguments)
    {
        await using ReplayRun run = ReplayRun.Start(arguments);

        Assert.Equal(2, await run.WaitForExitAsync(Cancellation));
        Assert.Equal(message, run.Error.TrimEnd());
        Assert.Empty(run.Output);
    }

    private static async Task<(JsonElement Report, ReplayRun Run)> PlayAsync(params string[] arguments)
    {
        string file = Path.GetTempFileName();
        try
        {
            ReplayRun run = ReplayRun.Start(["--seconds", "4", "--json", file, .. arguments]);
            int exitCode = await run.WaitForExitAsync(Cancellation);
            Assert.True(exitCode == 0, $"exit code {exitCode}\n{run.Output}\n{run.Error}");
            return (JsonSerializer.Deserialize<JsonElement>(await File.ReadAllTextAsync(file, Cancellation)), run);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static void AssertCured(JsonElement report, ReplayRun run)
    {
        Assert.Equal(["naive", "pooled", "churn", "environment"], Names(report));
        JsonElement naive = report.GetProperty("naive");
        JsonElement pooled = report.GetProperty("pooled");
        Assert.Equal(FigureNames, Names(naive));
        Assert.Equal(FigureNames, Names(pooled));

        Assert.Equal(naive.GetProperty("requests").GetInt32(), pooled.GetProperty("requests").GetInt32());
        Assert.Equal(0, pooled.GetProperty("failed").GetInt32());
        Assert.Equal(JsonValueKind.Null, pooled.GetProperty("firstFailureAt").ValueKind);
        Assert.InRange(pooled.GetProperty("connects").GetInt32(), 1, 8);
        Assert.InRange(pooled.GetProperty("p50Us").GetDouble(), 1, pooled.GetProperty("p99Us").GetDouble());
        AssertChurned(report.GetProperty("churn"));
        Assert.Empty(run.LiveProcesses());
    }

    private static void AssertChurned(JsonElement churn)
    {
        Assert.Equal(Policies, churn.EnumerateArray().Select(figures => figures.GetProperty("policy").GetString()));
        foreach (JsonElement figures in churn.EnumerateArray())
        {
            Assert.Equal(ChurnNames, Names(figures));
            int failed = figures.GetProperty("failed").GetInt32();
            Assert.Equal(ChurnRequests, figures.GetProperty("offered").GetInt32());
            Assert.Equal(ChurnRequests, figures.GetProperty("ok").GetInt32() + failed);
            string policy = figures.GetProperty("policy").GetString()!;
            if (policy == "connectPerRequest")
            {
                Assert.InRange(failed, 1, ChurnRequests);
                continue;
            }

            // Whatever the policy, the pool never keeps more.
            Assert.InRange(figures.GetProperty("clientTimeWait").GetInt32(), 0, TimeWaitShare);
            if (policy != "client")
            {
                Assert.Equal(0, failed);
            }

            if (policy is "autoWithGoodbye" or "server")
            {
                Assert.InRange(figures.GetProperty("serverTimeWait").GetInt32(), 1, 64);
            }
        }
    }

    private static IEnumerable<string> Names(JsonElement element) => element.EnumerateObject().Select(property => property.Name);

    /// <summary>Waits for the replay, an act and its server.</summary>
    private static Task WaitForActAsync(ReplayRun run) => WaitUntilAsync(() => run.LiveProcesses().Count >= 3);

    private static async Task WaitUntilAsync(Func<bool> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(EndLimit);
        while (!condition())
        {
            await Task.Delay(20, limit.Token);
        }
    }
}
