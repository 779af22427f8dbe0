using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using PooledTcp.CacheServiceTests.Support;
using Xunit;

namespace PooledTcp.CacheServiceTests.Telemetry;

/// <summary>The service as a program: what goes where.</summary>
public sealed class ExportTests
{
    [Fact]
    public async Task The_console_tells_of_a_cold_start_and_otherwise_keeps_quiet()
    {
        string url = $"http://127.0.0.1:{FreePort.Next()}";
        using Child service = Child.Start(
            [.. CacheServiceApp.Patient, "--urls", url, "--PooledTcp:Endpoints:cache:Address", $"127.0.0.1:{FreePort.Next()}", "--Telemetry:Console:SlowerThan", "00:10:00"]);
        await PingAsync(url, times: 20);

        // The one dial, whose link the first request's span has.
        await Patience.UntilAsync(() => Task.FromResult(service.Output.Contains("pooled_tcp connection_setup", StringComparison.Ordinal)));
        Assert.Equal(0, await service.StopAsync());
        Assert.Contains("socket connect", service.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("GET /ping", service.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("wait_for_connection", service.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("pooled_tcp.connection.count", service.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_console_tells_everything_if_it_is_asked_to()
    {
        string url = $"http://127.0.0.1:{FreePort.Next()}";
        using Child service = Child.Start(
        [
            .. CacheServiceApp.Patient, "--urls", url, "--PooledTcp:Endpoints:cache:Address", $"127.0.0.1:{FreePort.Next()}",
            "--Telemetry:Console:Spans", "All", "--Telemetry:Console:Metrics", "true",
        ]);
        await PingAsync(url, times: 2);

        await Patience.UntilAsync(() => Task.FromResult(service.Output.Contains("pooled_tcp.connection.count", StringComparison.Ordinal)));
        Assert.Equal(0, await service.StopAsync());
        Assert.Contains("wait_for_connection", service.Output, StringComparison.Ordinal);
        Assert.Contains("GET /ping", service.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_OTLP_endpoint_gets_metrics_traces_and_logs()
    {
        var paths = new ConcurrentDictionary<string, int>(StringComparer.Ordinal);
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        await using WebApplication collector = builder.Build();
        collector.Urls.Add("http://127.0.0.1:0");
        collector.MapPost("/v1/{signal}", async (string signal, HttpRequest request) =>
        {
            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            paths.AddOrUpdate(signal, (int)body.Length, (_, length) => length + (int)body.Length);
        });
        await collector.StartAsync(Patience.Token);
        string url = $"http://127.0.0.1:{FreePort.Next()}";
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Urls.First(),
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",

            // Milliseconds: soon, rather than when the service stops, which waits for none of it for long.
            ["OTEL_METRIC_EXPORT_INTERVAL"] = "500",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "500",
            ["OTEL_BLRP_SCHEDULE_DELAY"] = "500",
        };
        using Child service = Child.Start(
            environment, [.. CacheServiceApp.Patient, "--urls", url, "--PooledTcp:Endpoints:cache:Address", $"127.0.0.1:{FreePort.Next()}"]);
        await PingAsync(url, times: 2);

        await Patience.UntilAsync(() => Task.FromResult(paths.Count == 3));
        Assert.Equal(["logs", "metrics", "traces"], paths.Keys.Order(StringComparer.Ordinal));
        Assert.All(paths.Values, static bytes => Assert.InRange(bytes, 1, int.MaxValue));
        Assert.Equal(0, await service.StopAsync());
    }

    private static async Task PingAsync(string url, int times)
    {
        using var http = new HttpClient { BaseAddress = new Uri(url) };
        await Patience.UntilAsync(async () =>
        {
            try
            {
                return (await http.GetStringAsync("/", Patience.Token)).Length > 0;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
        for (int i = 0; i < times; i++)
        {
            Assert.Equal("PONG\n", await http.GetStringAsync("/ping", Patience.Token));
        }
    }
}
