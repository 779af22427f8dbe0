using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using PooledTcp.CacheServiceTests.Support;
using Xunit;

namespace PooledTcp.CacheServiceTests;

/// <summary>What clients of the service see.</summary>
public sealed class EndpointTests
{
    [Fact]
    public async Task Values_and_counters()
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync();
        HttpClient http = service.Http;
        byte[] value = new byte[200_000];
        Random.Shared.NextBytes(value);

        using HttpResponseMessage absent = await http.GetAsync("/cache/k%C3%A9%2Fy", Patience.Token);
        using HttpResponseMessage put = await http.PutAsync("/cache/k%C3%A9%2Fy", new ByteArrayContent(value), Patience.Token);
        using HttpResponseMessage get = await http.GetAsync("/cache/k%C3%A9%2Fy", Patience.Token);
        using HttpResponseMessage first = await http.PostAsync("/counter/n", null, Patience.Token);
        using HttpResponseMessage second = await http.PostAsync("/counter/n", null, Patience.Token);

        Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, put.StatusCode);
        Assert.Equal(HttpStatusCode.OK, get.StatusCode);
        Assert.Equal("application/octet-stream", get.Content.Headers.ContentType!.MediaType);
        Assert.Equal(value, await get.Content.ReadAsByteArrayAsync(Patience.Token));
        Assert.Equal("{\"key\":\"n\",\"value\":1}", await first.Content.ReadAsStringAsync(Patience.Token));
        Assert.Equal("{\"key\":\"n\",\"value\":2}", await second.Content.ReadAsStringAsync(Patience.Token));
        Assert.Equal("PONG\n", await http.GetStringAsync("/ping", Patience.Token));
        Assert.Contains("/cache/{key}", await http.GetStringAsync("/", Patience.Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_is_told_what_it_did_wrong()
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync("--Cache:MaxValueBytes", "1000");
        HttpClient http = service.Http;
        await http.PutAsync("/cache/text", new StringContent("no number"), Patience.Token);

        (await AssertProblemAsync(http.GetAsync("/cache/%01", Patience.Token), 400, "A key has no control characters.")).Dispose();
        (await AssertProblemAsync(http.PostAsync($"/counter/{new string('k', 251)}", null, Patience.Token), 400, "A key has at most 250 bytes of UTF-8; this one has 251.")).Dispose();
        (await AssertProblemAsync(http.PostAsync("/counter/text", null, Patience.Token), 409, "What is stored under 'text' is not a counter.")).Dispose();
        (await AssertProblemAsync(http.PutAsync("/cache/large", new ByteArrayContent(new byte[1001]), Patience.Token), 413, "The value is larger than this service takes.")).Dispose();
        Assert.Equal(HttpStatusCode.NoContent, (await http.PutAsync("/cache/large", new ByteArrayContent(new byte[1000]), Patience.Token)).StatusCode);
    }

    [Fact]
    public async Task A_cache_that_is_away_makes_it_unavailable_and_unhealthy()
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(FreePort.Next(), "--PooledTcp:Defaults:Health:FailuresToOpen", "1");

        using HttpResponseMessage response = await AssertProblemAsync(service.Http.GetAsync("/cache/k", Patience.Token), 503, "The cache cannot be reached.");

        Assert.Equal(TimeSpan.FromSeconds(5), response.Headers.RetryAfter!.Delta);
        using HttpResponseMessage health = await service.Http.GetAsync("/health", Patience.Token);
        Assert.NotEqual("Healthy", await health.Content.ReadAsStringAsync(Patience.Token));
    }

    [Fact]
    public async Task Who_waits_in_vain_is_told_to_come_again()
    {
        using var server = new ScriptedServer(ScriptedServer.Silence);
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(
            server.Port, "--PooledTcp:Endpoints:cache:MaxConnections", "1", "--PooledTcp:Defaults:RentTimeout", "00:00:00.1");

        // The deadline is for waiting, not for the dial.
        await service.Pool.WarmUpAsync(1, Patience.Token);
        using var hanging = new CancellationTokenSource();
        Task<HttpResponseMessage> busy = service.Http.GetAsync("/cache/k", hanging.Token);
        await Patience.UntilAsync(() => Task.FromResult(server.Commands == 1));

        using HttpResponseMessage response = await AssertProblemAsync(
            service.Http.GetAsync("/cache/k", Patience.Token), 503, "Every connection to the cache is busy, and none became free in time.");

        Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter!.Delta);
        await hanging.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => busy);
    }

    [Fact]
    public async Task A_full_queue_refuses_at_once()
    {
        using var server = new ScriptedServer(ScriptedServer.Silence);
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(
            server.Port,
            "--PooledTcp:Endpoints:cache:MaxConnections", "1", "--PooledTcp:Endpoints:cache:MaxWaiters", "1");
        using var hanging = new CancellationTokenSource();
        Task<HttpResponseMessage> busy = service.Http.GetAsync("/cache/k", hanging.Token);
        await Patience.UntilAsync(() => Task.FromResult(server.Commands == 1));
        Task<HttpResponseMessage> waiting = service.Http.GetAsync("/cache/k", hanging.Token);
        await Patience.UntilAsync(() => Task.FromResult(service.Pool.GetSnapshot().Waiting == 1));

        using HttpResponseMessage response = await AssertProblemAsync(
            service.Http.GetAsync("/cache/k", Patience.Token), 503, "Too many requests wait for the cache already.");

        Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter!.Delta);
        await hanging.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => busy);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact]
    public async Task A_cache_that_does_not_answer_is_not_waited_for_for_ever()
    {
        using var server = new ScriptedServer(ScriptedServer.Silence) { Reply = ScriptedServer.Silence };
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(server.Port, "--Cache:RequestTimeout", "00:00:01");
        await service.Pool.WarmUpAsync(1, Patience.Token);

        // Its reply may still come: nobody else gets that connection. Again, if the deadline came before the command was sent.
        while (service.Pool.GetSnapshot().Closed == 0)
        {
            (await AssertProblemAsync(service.Http.GetAsync("/cache/k", Patience.Token), 504, "The cache did not answer in time.")).Dispose();
            (await AssertProblemAsync(
                service.Http.PutAsync("/cache/k", new ByteArrayContent([1]), Patience.Token), 504, "The cache did not answer in time.")).Dispose();
        }

        Assert.InRange(server.Commands, 1, int.MaxValue);
    }

    [Fact]
    public async Task A_client_that_is_slow_to_upload_is_told_so_and_the_cache_is_not_blamed()
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync("--Cache:UploadTimeout", "00:00:00.5", "--Cache:RequestTimeout", "00:00:00.3");
        using var client = new TcpClient();
        await client.ConnectAsync(service.Http.BaseAddress!.Host, service.Http.BaseAddress.Port, Patience.Token);
        NetworkStream stream = client.GetStream();

        await stream.WriteAsync("PUT /cache/k HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome"u8.ToArray(), Patience.Token);

        // Throws if the connection ends before the answer does: Kestrel waits some seconds for the rest of the body, and resets it.
        string answer = "";
        byte[] buffer = new byte[4096];
        while (!answer.Contains("The value did not arrive in time.", StringComparison.Ordinal))
        {
            int received = await stream.ReadAsync(buffer, Patience.Token);
            answer += received > 0 ? Encoding.Latin1.GetString(buffer, 0, received) : throw new EndOfStreamException(answer);
        }

        Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
        Assert.Equal(0, service.Pool.GetSnapshot().Rents);
    }

    [Fact]
    public async Task A_cache_that_cannot_be_reached_is_not_said_to_be_busy()
    {
        // Nobody accepts: the kernel takes two connections for a backlog of one, and drops what asks for a third.
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, FreePort.Next()));
        listener.Listen(1);
        using var first = new TcpClient();
        using var second = new TcpClient();
        await first.ConnectAsync((IPEndPoint)listener.LocalEndPoint!, Patience.Token);
        await second.ConnectAsync((IPEndPoint)listener.LocalEndPoint!, Patience.Token);
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(
            ((IPEndPoint)listener.LocalEndPoint!).Port, "--PooledTcp:Defaults:ConnectTimeout", "00:00:00.5", "--PooledTcp:Defaults:RentTimeout", "00:00:20");

        (await AssertProblemAsync(service.Http.GetAsync("/cache/k", Patience.Token), 503, "The cache cannot be reached.")).Dispose();
    }

    [Fact]
    public async Task As_shipped_a_dial_can_fail_before_the_rent_does_and_the_rent_before_the_request()
    {
        JsonNode settings = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "appsettings.json"), Patience.Token))!;
        TimeSpan connect = Time(settings["PooledTcp"]!["Defaults"]!["ConnectTimeout"]!);
        TimeSpan rent = Time(settings["PooledTcp"]!["Defaults"]!["RentTimeout"]!);

        Assert.InRange(rent, connect + TimeSpan.FromSeconds(1), Time(settings["Cache"]!["RequestTimeout"]!) - TimeSpan.FromSeconds(1));

        static TimeSpan Time(JsonNode setting) => TimeSpan.Parse(setting.GetValue<string>(), CultureInfo.InvariantCulture);
    }

    [Theory]
    [InlineData("oops\r\n", "The cache did not answer as it should.")]
    [InlineData("-LOADING\r\n", "The cache did not answer as it should.")]
    [InlineData(ScriptedServer.Close, "The connection to the cache broke.")]
    public async Task A_cache_that_answers_badly_is_a_bad_gateway(string reply, string detail)
    {
        using var server = new ScriptedServer(reply);
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(server.Port);

        (await AssertProblemAsync(service.Http.GetAsync("/cache/k", Patience.Token), 502, detail)).Dispose();
    }

    [Fact]
    public async Task Operators_find_health_metrics_and_the_stats_page()
    {
        await using CacheServiceApp service = await CacheServiceApp.StartAsync();
        await service.Http.GetStringAsync("/ping", Patience.Token);

        Assert.Equal("Healthy", await service.Http.GetStringAsync("/health", Patience.Token));
        Assert.Contains("pooled_tcp_connection_count{", await service.Http.GetStringAsync("/metrics", Patience.Token), StringComparison.Ordinal);
        using HttpResponseMessage page = await service.Http.GetAsync("/pooledtcp", Patience.Token);
        Assert.Equal("text/html", page.Content.Headers.ContentType!.MediaType);
        using JsonDocument stats = JsonDocument.Parse(await service.Http.GetStringAsync("/pooledtcp/stats.json", Patience.Token));
        Assert.Equal(JsonValueKind.Object, stats.RootElement.ValueKind);
    }

    private static async Task<HttpResponseMessage> AssertProblemAsync(Task<HttpResponseMessage> request, int status, string detail)
    {
        HttpResponseMessage response = await request;
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        JsonElement problem = await response.Content.ReadFromJsonAsync<JsonElement>(Patience.Token);
        Assert.Equal(status, problem.GetProperty("status").GetInt32());
        Assert.Equal(detail, problem.GetProperty("detail").GetString());
        return response;
    }
}
