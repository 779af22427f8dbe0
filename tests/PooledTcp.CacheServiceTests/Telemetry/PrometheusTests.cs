using System.Diagnostics;
using System.Net;
using CacheService.Hosting;
using CacheService.Load;
using PooledTcp.CacheServiceTests.Support;
using Xunit;

namespace PooledTcp.CacheServiceTests.Telemetry;

/// <summary>
/// The service as a program, under a minute of load, scraped by Debian's prometheus: every series arrives under its name, with
/// its labels, and every query of the documents and of the dashboard finds what it looks for.
/// </summary>
public sealed class PrometheusTests
{
    private static readonly string[] Pool = ["pooled_tcp_pool_name", "server_address", "server_port"];

    // What telemetry promises, as Prometheus names it; a histogram's _sum and _count are looked for with its _bucket.
    private static readonly Dictionary<string, string[]> Series = new(StringComparer.Ordinal)
    {
        ["pooled_tcp_connection_count"] = [.. Pool, "pooled_tcp_connection_state"],
        ["pooled_tcp_connection_max"] = Pool,
        ["pooled_tcp_connection_idle_max"] = Pool,
        ["pooled_tcp_connection_idle_min"] = Pool,
        ["pooled_tcp_connection_pending_requests"] = Pool,
        ["pooled_tcp_connection_timeouts_total"] = Pool,
        ["pooled_tcp_connection_wait_time_seconds_bucket"] = [.. Pool, "pooled_tcp_connection_reused", "error_type"],
        ["pooled_tcp_connection_create_time_seconds_bucket"] = [.. Pool, "error_type"],
        ["pooled_tcp_connection_use_time_seconds_bucket"] = Pool,
        ["pooled_tcp_connection_duration_seconds_bucket"] = Pool,
        ["pooled_tcp_connection_closed_total"] =
            [.. Pool, "pooled_tcp_connection_close_reason", "pooled_tcp_connection_close_initiator", "pooled_tcp_connection_close_method"],
        ["pooled_tcp_connection_health_check_duration_seconds_bucket"] = [.. Pool, "pooled_tcp_health_check_kind", "error_type"],
        ["pooled_tcp_port_budget"] = [.. Pool, "network_local_address"],
        ["pooled_tcp_port_used"] = [.. Pool, "network_local_address"],
        ["pooled_tcp_port_time_wait"] = [.. Pool, "network_local_address"],
        ["pooled_tcp_port_exhausted_total"] = Pool,
        ["pooled_tcp_port_pressure"] = Pool,
        ["pooled_tcp_socket_count"] = ["network_connection_state", "server_address", "server_port"],
    };

    // Of Prometheus, of the exporter, and of a histogram's buckets.
    private static readonly string[] Ignored = ["__name__", "job", "instance", "otel_scope_name", "otel_scope_version", "le"];

    // Parts of alerts whose trouble the load brings about: these must not be silent.
    private const string NoPort = "pooled_tcp_port_exhausted_total";
    private const string Refused = "acquire_timeout|queue_full";
    private const string Away = "\"endpoint_unavailable\"";
    private static readonly string[] Alarming = [NoPort, Refused, Away];

    [Fact]
    public async Task Every_series_exemplar_and_query()
    {
        Assert.SkipUnless(PrometheusServer.IsInstalled, "prometheus is not installed.");
        int cachePort = FreePort.Next();
        string target = $"127.0.0.1:{FreePort.Next()}";
        var faults = new List<string>();
        using Child service = Child.Start(Settings(target, cachePort));
        using PrometheusServer prometheus = await PrometheusServer.StartAsync(target);

        await PutLoadAsync(prometheus, target, cachePort);

        // Of the last scrape under load, however long the questions take: connections that nobody uses soon go away, and a scrape
        // on a busy machine may have failed.
        PrometheusSample up = Assert.Single(await prometheus.QueryAsync("max_over_time(timestamp(up == 1)[18s:500ms])"));
        prometheus.Moment = DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Round(up.Value * 1000));
        Assert.Equal(1, Assert.Single(await prometheus.QueryAsync("up")).Value);
        foreach ((string name, string[] labels) in Series)
        {
            faults.AddRange(await SeriesFaultsAsync(prometheus, name, labels));
        }

        foreach (string metric in (string[])["wait_time", "create_time", "use_time"])
        {
            IReadOnlyList<(string TraceId, double Value)> exemplars = await prometheus.ExemplarsAsync($"pooled_tcp_connection_{metric}_seconds_bucket");
            if (exemplars.Count == 0 || exemplars.Any(static exemplar => !IsTraceId(exemplar.TraceId) || exemplar.Value < 0))
            {
                faults.Add($"{exemplars.Count} exemplars of {metric}, or one without a trace");
            }
        }

        string[] queries = [.. Repository.DocumentedQueries(), .. Repository.DashboardQueries()];
        Assert.InRange(queries.Length, 50, int.MaxValue);
        foreach (string query in queries)
        {
            faults.AddRange(await QueryFaultsAsync(prometheus, query));
        }

        Assert.True(faults.Count == 0, $"{string.Join("\n\n", faults)}\n\nprometheus: {prometheus.Log}\nservice: {service.Error}");
        Assert.Equal(0, await service.StopAsync());
    }

    private static string[] Settings(string target, int cachePort) =>
    [
        "--urls", $"http://{target}", "--Backend", "External", "--Telemetry:Console:Spans", "None", "--Logging:LogLevel:Default", "Error",
        "--PooledTcp:Telemetry:SocketCount", "true",
        "--PooledTcp:Endpoints:cache:Address", $"127.0.0.1:{cachePort}", "--Cache:RequestTimeout", "00:00:00.500",

        // Few enough that callers wait, a queue that fills, deadlines that pass; connections that are probed, and that end.
        "--PooledTcp:Endpoints:cache:MaxConnections", "4", "--PooledTcp:Endpoints:cache:MaxWaiters", "60",
        "--PooledTcp:Endpoints:cache:RentTimeout", "00:00:00.100", "--PooledTcp:Endpoints:cache:Lifetime", "00:00:05",
        "--PooledTcp:Defaults:Health:Probe", "redis", "--PooledTcp:Defaults:Health:ProbeInterval", "00:00:01",
        "--PooledTcp:Endpoints:cache:Health:FailuresToOpen", "1",

        // A server that is away, and a pool with fewer ports than it would keep connections.
        "--PooledTcp:Endpoints:away:Address", $"127.0.0.1:{FreePort.Next()}", "--PooledTcp:Endpoints:away:MinIdleConnections", "1",
        "--PooledTcp:Endpoints:narrow:Address", $"127.0.0.1:{cachePort}", "--PooledTcp:Endpoints:narrow:MinIdleConnections", "4",
        "--PooledTcp:Endpoints:narrow:Ports:Range", "34000-34001",
    ];

    /// <summary>
    /// A minute: good times, a crowd, a server that hangs, none, and good times again. Trouble lasts until its alert was seen, and
    /// on a busy machine that takes longer.
    /// </summary>
    private static async Task PutLoadAsync(PrometheusServer prometheus, string target, int cachePort)
    {
        var url = new Uri($"http://{target}");
        using (EmbeddedServer server = await StartCacheAsync(cachePort))
        {
            await WaitForServiceAsync(url);
            await LoadAsync(url, callers: 4, seconds: 15);
            await LoadAsync(url, callers: 50, seconds: 10);
        }

        // Its connections are busy until their callers give up, others wait in vain, and the queue is full.
        using (ScriptedServer silent = ScriptedServer.Silent(cachePort))
        {
            await LoadUntilAlarmAsync(prometheus, Refused, url, callers: 200);
        }

        // Clients come again, as Retry-After tells them.
        await LoadUntilAlarmAsync(prometheus, Away, url, callers: 4);
        await LoadUntilAlarmAsync(prometheus, NoPort, url, callers: 4);
        using (EmbeddedServer server = await StartCacheAsync(cachePort))
        {
            await LoadAsync(url, callers: 4, seconds: 18);
        }
    }

    private static async Task LoadUntilAlarmAsync(PrometheusServer prometheus, string part, Uri url, int callers)
    {
        string[] alerts = [.. Repository.DocumentedQueries().Where(query => query.Contains(part, StringComparison.Ordinal))];
        Assert.NotEmpty(alerts);
        do
        {
            await LoadAsync(url, callers, seconds: 5);
        }
        while (!await AreLoudAsync());

        async Task<bool> AreLoudAsync()
        {
            foreach (string alert in alerts)
            {
                if ((await prometheus.QueryAsync(alert)).Count == 0)
                {
                    return false;
                }
            }

            return true;
        }
    }

    private static async Task LoadAsync(Uri url, int callers, int seconds)
    {
        using var load = new HttpLoad(url, valueBytes: 1000, pause: TimeSpan.FromMilliseconds(5));
        await load.RunAsync(callers, TimeSpan.FromSeconds(seconds), Patience.Token);
    }

    private static async Task<EmbeddedServer> StartCacheAsync(int port)
    {
        var server = new EmbeddedServer(new IPEndPoint(IPAddress.Loopback, port));
        await server.StartingAsync(Patience.Token);
        return server;
    }

    private static async Task WaitForServiceAsync(Uri url)
    {
        using var http = new HttpClient();
        await Patience.UntilAsync(async () =>
        {
            try
            {
                using HttpResponseMessage response = await http.GetAsync(new Uri(url, "/"), Patience.Token);
                return response.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    private static async Task<IEnumerable<string>> SeriesFaultsAsync(PrometheusServer prometheus, string name, string[] labels)
    {
        // Over the whole run: an exhausted port or a timeout may be long past.
        IReadOnlyList<PrometheusSample> series = await prometheus.QueryAsync($"last_over_time({name}[5m])");
        IEnumerable<string> seen = series.SelectMany(static sample => sample.Labels.Keys).Except(Ignored).Distinct();

        // A probe of this run may have failed, or not.
        if (name.Contains("health_check", StringComparison.Ordinal))
        {
            seen = seen.Append("error_type").Distinct();
        }

        string[] parts = name.EndsWith("_bucket", StringComparison.Ordinal)
            ? [name.Replace("_bucket", "_sum", StringComparison.Ordinal), name.Replace("_bucket", "_count", StringComparison.Ordinal)]
            : [];
        var faults = new List<string>();
        if (!seen.Order(StringComparer.Ordinal).SequenceEqual(labels.Order(StringComparer.Ordinal)))
        {
            faults.Add($"{name}: {series.Count} series with the labels {string.Join(", ", seen)}; expected {string.Join(", ", labels)}");
        }

        foreach (string part in parts)
        {
            if ((await prometheus.QueryAsync(part)).Count == 0)
            {
                faults.Add($"{part}: none");
            }
        }

        return faults;
    }

    private static async Task<string[]> QueryFaultsAsync(PrometheusServer prometheus, string query)
    {
        try
        {
            // Valid an alert must be; most may be silent.
            IReadOnlyList<PrometheusSample> alarms = await prometheus.QueryAsync(query);
            if (alarms.Count == 0 && Alarming.Any(part => query.Contains(part, StringComparison.Ordinal)))
            {
                return [$"silent, though its trouble was there: {query}"];
            }

            string looksAt = Repository.WithoutThreshold(query);
            IReadOnlyList<PrometheusSample> found = await prometheus.QueryAsync(looksAt);
            return found.Any(static sample => !double.IsNaN(sample.Value)) ? [] : [$"finds nothing ({found.Count} samples): {looksAt}"];
        }
        catch (InvalidOperationException exception)
        {
            return [exception.Message];
        }
    }

    private static bool IsTraceId(string text) => text.Length == 32 && ActivityTraceId.CreateFromString(text) != default;
}
