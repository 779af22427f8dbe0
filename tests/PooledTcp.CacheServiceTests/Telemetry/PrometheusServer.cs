using System.Globalization;
using System.Text.Json;
using PooledTcp.CacheServiceTests.Support;

namespace PooledTcp.CacheServiceTests.Telemetry;

/// <summary>Debian's prometheus on a port and in a directory of its own, with the example's configuration.</summary>
internal sealed class PrometheusServer : IDisposable
{
    private readonly Child _process;
    private readonly HttpClient _http;

    private PrometheusServer(Child process, int port)
    {
        _process = process;
        _http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
    }

    public static bool IsInstalled =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(static directory => File.Exists(Path.Combine(directory, "prometheus")));

    public string Log => _process.Error + _process.Output;

    /// <param name="target">Host and port of the service.</param>
    public static async Task<PrometheusServer> StartAsync(string target)
    {
        string directory = Path.Combine(Repository.Root, "artifacts/prometheus");
        if (Directory.Exists(directory))
        {
            Directory.Delete(directory, recursive: true);
        }

        Directory.CreateDirectory(directory);
        string configuration = Path.Combine(directory, "prometheus.yml");
        string example = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "examples/CacheService/prometheus.yml"), Patience.Token);
        await File.WriteAllTextAsync(configuration, example.Replace("127.0.0.1:5080", target, StringComparison.Ordinal), Patience.Token);
        int port = FreePort.Next();
        var server = new PrometheusServer(
            Child.StartProgram(
                "prometheus",
                $"--config.file={configuration}",
                $"--storage.tsdb.path={Path.Combine(directory, "data")}",
                $"--web.listen-address=127.0.0.1:{port}",
                "--enable-feature=exemplar-storage",
                "--log.level=warn"),
            port);
        await Patience.UntilAsync(server.IsReadyAsync);
        return server;
    }

    /// <summary>The moment that queries are about; null is now.</summary>
    public DateTimeOffset? Moment { get; set; }

    /// <summary>What an instant query returns; throws with Prometheus' own words when the query is not valid.</summary>
    public async Task<IReadOnlyList<PrometheusSample>> QueryAsync(string query)
    {
        string moment = ((Moment ?? DateTimeOffset.UtcNow).ToUnixTimeMilliseconds() / 1000.0).ToString("F3", CultureInfo.InvariantCulture);
        JsonElement data = await AskAsync("/api/v1/query", new() { ["query"] = query, ["time"] = moment });
        JsonElement result = data.GetProperty("result");
        return data.GetProperty("resultType").GetString() == "vector"
            ? [.. result.EnumerateArray().Select(static sample => new PrometheusSample(Labels(sample.GetProperty("metric")), Value(sample.GetProperty("value"))))]
            : [new PrometheusSample(new Dictionary<string, string>(StringComparer.Ordinal), Value(result))];
    }

    /// <summary>Trace ids of the exemplars of a metric, with their values.</summary>
    public async Task<IReadOnlyList<(string TraceId, double Value)>> ExemplarsAsync(string metric)
    {
        JsonElement data = await AskAsync(
            "/api/v1/query_exemplars",
            new()
            {
                ["query"] = metric,
                ["start"] = DateTimeOffset.UtcNow.AddMinutes(-10).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
                ["end"] = DateTimeOffset.UtcNow.AddMinutes(1).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            });
        return
        [
            .. data.EnumerateArray().SelectMany(static series => series.GetProperty("exemplars").EnumerateArray()).Select(static exemplar =>
                (exemplar.GetProperty("labels").GetProperty("trace_id").GetString()!, double.Parse(exemplar.GetProperty("value").GetString()!, CultureInfo.InvariantCulture))),
        ];
    }

    public void Dispose()
    {
        _http.Dispose();
        _process.Dispose();
    }

    private async Task<bool> IsReadyAsync()
    {
        if (_process.HasExited)
        {
            throw new InvalidOperationException($"prometheus ended: {Log}");
        }

        try
        {
            using HttpResponseMessage response = await _http.GetAsync("/-/ready", Patience.Token);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private async Task<JsonElement> AskAsync(string path, Dictionary<string, string> form)
    {
        using var content = new FormUrlEncodedContent(form);
        using HttpResponseMessage response = await _http.PostAsync(path, content, Patience.Token);
        using JsonDocument answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Patience.Token));
        return answer.RootElement.GetProperty("status").GetString() == "success"
            ? answer.RootElement.GetProperty("data").Clone()
            : throw new InvalidOperationException($"{answer.RootElement.GetProperty("error").GetString()}\nin: {string.Join('\n', form.Values)}");
    }

    private static Dictionary<string, string> Labels(JsonElement metric) =>
        metric.EnumerateObject().ToDictionary(static label => label.Name, static label => label.Value.GetString()!, StringComparer.Ordinal);

    private static double Value(JsonElement value) => value[1].GetString() switch
    {
        "NaN" => double.NaN,
        "+Inf" => double.PositiveInfinity,
        "-Inf" => double.NegativeInfinity,
        var number => double.Parse(number!, CultureInfo.InvariantCulture),
    };
}

/// <summary>One sample of an instant query.</summary>
internal sealed record PrometheusSample(IReadOnlyDictionary<string, string> Labels, double Value);
