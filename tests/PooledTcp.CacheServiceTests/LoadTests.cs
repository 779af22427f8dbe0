using System.Diagnostics;
using CacheService.Load;
using PooledTcp.CacheServiceTests.Support;
using Xunit;

namespace PooledTcp.CacheServiceTests;

/// <summary>The load command.</summary>
public sealed class LoadTests
{
    [Fact]
    public async Task It_asks_and_tells_what_became_of_it()
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync();

        // Longer, if the machine is too busy for its first answer.
        string output = "";
        for (int seconds = 5; seconds <= 80 && !output.Contains("  200 OK ", StringComparison.Ordinal); seconds *= 2)
        {
            using Child load = Child.Start("load", service.Http.BaseAddress!.ToString(), "--callers", "2", "--seconds", $"{seconds}");
            Assert.Equal(0, await load.WaitForExitAsync());
            output = load.Output;
        }

        Assert.Matches(@"^2 callers, \d+\.\d s: \d+ requests, \d+ a second\n", output);
        Assert.Contains("  200 OK ", output, StringComparison.Ordinal);
        Assert.Matches(@"slowest:\n +\d+\.\d ms  (GET|PUT|POST) /\S+ +trace [0-9a-f]{32}\n", output);
        Assert.InRange(service.Pool.GetSnapshot().Rents, 1, int.MaxValue);
    }

    [Theory]
    [InlineData("--callers is a whole number from 1 to 10000, not '0'.", "load", "http://127.0.0.1:1", "--callers", "0")]
    [InlineData("The URL is like http://127.0.0.1:5080, not '127.0.0.1:5080'.", "load", "127.0.0.1:5080")]
    public async Task A_bad_argument_is_named(string message, params string[] args)
    {
        using Child load = Child.Start(args);

        Assert.Equal(1, await load.WaitForExitAsync());
        Assert.Contains(message, load.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_is_away_is_said_to_be()
    {
        using var load = new HttpLoad(new Uri($"http://127.0.0.1:{FreePort.Next()}"), 1, TimeSpan.Zero);

        LoadReport report = await load.RunAsync(1, TimeSpan.FromSeconds(5), Patience.Token);

        Assert.Contains("no answer: ConnectionError", Text(report), StringComparison.Ordinal);
    }

    [Fact]
    public void The_report_counts_and_names_the_slowest()
    {
        LoadSample[] samples = [.. Enumerable.Range(1, 100).Select(static i => new LoadSample(
            TimeSpan.FromMilliseconds(i), i == 100 ? "503 ServiceUnavailable" : "200 OK", $"GET /cache/{i}", ActivityTraceId.CreateFromString($"{i:x32}")))];

        string text = Text(new LoadReport(4, TimeSpan.FromSeconds(10), samples));

        Assert.Equal(
            """
            4 callers, 10.0 s: 100 requests, 10 a second
              200 OK                             99
              503 ServiceUnavailable              1
              p50 50.0 ms   p99 99.0 ms   longest 100.0 ms
            slowest:
                100.0 ms  GET /cache/100           trace 00000000000000000000000000000064
                 99.0 ms  GET /cache/99            trace 00000000000000000000000000000063
                 98.0 ms  GET /cache/98            trace 00000000000000000000000000000062

            """,
            text);
    }

    [Fact]
    public void Nothing_asked_is_nothing_to_tell() =>
        Assert.Equal("1 callers, 1.0 s: 0 requests, 0 a second\n", Text(new LoadReport(1, TimeSpan.FromSeconds(1), [])));

    private static string Text(LoadReport report)
    {
        using var text = new StringWriter { NewLine = "\n" };
        report.Write(text);
        return text.ToString();
    }
}
