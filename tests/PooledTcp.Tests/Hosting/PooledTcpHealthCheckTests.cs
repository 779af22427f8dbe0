using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Hosting;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Hosting;

/// <summary>The check over all endpoints of a client, asked as a service asks it.</summary>
public sealed class PooledTcpHealthCheckTests : IAsyncDisposable
{
    private const string Secret = "hunter2";
    private readonly FakeTime _time = new();
    private readonly PooledTcpClient _client;
    private readonly ServiceProvider _services;
    private readonly Dictionary<string, FakeConnector> _connectors = new(StringComparer.Ordinal);
    private Exception? _fault;

    public PooledTcpHealthCheckTests()
    {
        PooledTcpOptions options = new();
        options.Defaults.Health.FailuresToOpen = 1;
        options.Defaults.MaxConnections = 1;
        options.AddEndpoint("cache", static endpoint => endpoint.Address = "10.1.0.1:7000");
        options.AddEndpoint("other", static endpoint => endpoint.Address = "10.1.0.2:7000");
        _client = new PooledTcpClient(
            SettingsFactory.Create(options),
            new Dictionary<string, EndpointHooks>(),
            null,
            null,
            _time,
            (name, _) => _connectors[name] = new FakeConnector
            {
                Automatic = settings => _fault is { } fault && settings.Address.ToString().StartsWith("10.1.0.1", StringComparison.Ordinal)
                    ? throw fault
                    : new FakeTransport(),
            });
        ServiceCollection services = new();
        services.AddLogging();
        services.AddSingleton(_client);
        services.AddSingleton<TimeProvider>(_time);
        services.AddHealthChecks()
            .AddPooledTcp()
            .AddPooledTcp("one", HealthStatus.Degraded, ["ready"], endpoints: ["OTHER"])
            .AddPooledTcp("typo", endpoints: ["cahce"]);
        _services = services.BuildServiceProvider();
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        await _client.DisposeAsync();
    }

    [Fact]
    public async Task Endpoints_that_were_never_dialed_are_healthy_and_stay_undialed()
    {
        HealthReportEntry entry = await CheckAsync();
        Assert.Equal((HealthStatus.Healthy, "2 endpoints, nothing to report."), (entry.Status, entry.Description));
        Assert.Equal(["cache", "other"], entry.Data.Keys.Order());
        Assert.All(_connectors.Values, static connector => Assert.Equal(0, connector.Dials));
    }

    [Fact]
    public async Task An_endpoint_that_goes_away_is_degraded_while_connections_are_left_and_unhealthy_after()
    {
        TcpPool cache = _client.GetPool("cache");
        _client.GetPool("cache").Clear();
        TcpLease lease = await RentAsync(cache);
        _fault = new SocketException((int)SocketError.ConnectionRefused);
        lease.Discard();
        await FailAsync(cache);

        HealthReportEntry entry = await CheckAsync();
        Assert.Equal(HealthStatus.Unhealthy, entry.Status);
        Assert.Equal(
            "cache: it cannot be reached and no connection is left, so rents fail at once (last dial error 0 s ago: connection_refused).",
            entry.Description);
        IReadOnlyDictionary<string, object> data = Data(entry, "cache");
        Assert.Equal(
            ("Unhealthy", "Open", "Open", 1, "connection_refused", 0d),
            ((string)data["status"], (string)data["state"], (string)data["breaker"], (int)data["addresses_failing"], (string)data["last_error"], (double)data["last_error_age_seconds"]));
        Assert.Equal("Healthy", Data(entry, "other")["status"]);

        // The pause is over, and nothing has become better by that.
        _time.Advance(TimeSpan.FromSeconds(15));
        entry = await CheckAsync();
        Assert.Equal((HealthStatus.Unhealthy, (object)"HalfOpen"), (entry.Status, Data(entry, "cache")["breaker"]));
        Assert.Equal(
            "cache: it could not be reached, no connection is left, and no dial has succeeded since (last dial error 15 s ago: connection_refused).",
            entry.Description);

        // It is tried again, and lasts from there.
        await FailAsync(cache);
        _time.Advance(EndpointHealth.FailureCountsFor - TimeSpan.FromTicks(1));
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync()).Status);

        // Who says unhealthy for ever keeps away the traffic that alone would find out.
        _time.Advance(TimeSpan.FromTicks(1));
        entry = await CheckAsync();
        Assert.Equal(HealthStatus.Degraded, entry.Status);
        Assert.Equal(30d, Data(entry, "cache")["last_error_age_seconds"]);
        await FailAsync(cache);
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync()).Status);
        _time.Advance(TimeSpan.FromSeconds(15));

        _fault = null;
        PoolHarness.Return(await RentAsync(cache));
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync()).Status);
    }

    [Fact]
    public async Task Rents_that_time_out_degrade_it_for_a_while()
    {
        TcpPool cache = _client.GetPool("cache");
        TcpLease lease = await RentAsync(cache);
        await TimeOutAsync(cache);

        // How old those are is not known at the first look.
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync()).Status);
        await TimeOutAsync(cache);
        HealthReportEntry entry = await CheckAsync();
        Assert.Equal(
            (HealthStatus.Degraded, "cache: rents time out (1 of 1 connections in use, 0 callers wait)."), (entry.Status, entry.Description));

        // Whoever looks next hears of it, too.
        _time.Advance(PooledTcpHealthCheck.TimeoutsCountFor - TimeSpan.FromTicks(1));
        Assert.Equal(HealthStatus.Degraded, (await CheckAsync()).Status);
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync()).Status);
        lease.Dispose();
    }

    [Fact]
    public async Task A_paused_pool_is_degraded()
    {
        _client.GetPool("other").Pause();
        HealthReportEntry entry = await CheckAsync();
        Assert.Equal((HealthStatus.Degraded, "other: the pool is paused."), (entry.Status, entry.Description));
    }

    [Fact]
    public async Task A_check_of_some_endpoints_sees_those_and_reports_in_its_own_status()
    {
        _fault = new IOException("away");
        await FailAsync(_client.GetPool("cache"));
        HealthReport report = await ReportAsync();
        Assert.Equal(HealthStatus.Unhealthy, report.Entries["pooled_tcp"].Status);
        Assert.Equal(HealthStatus.Healthy, report.Entries["one"].Status);
        Assert.Equal(["other"], report.Entries["one"].Data.Keys);
        Assert.Equal(["ready"], report.Entries["one"].Tags);

        await _client.DisposeAsync();
        Assert.Equal(HealthStatus.Degraded, (await ReportAsync()).Entries["one"].Status);
    }

    [Fact]
    public async Task An_endpoint_that_is_not_configured_is_told()
    {
        HealthReportEntry entry = (await ReportAsync()).Entries["typo"];
        Assert.Equal((HealthStatus.Unhealthy, "No endpoint 'cahce' is configured."), (entry.Status, entry.Description));
    }

    [Fact]
    public async Task A_host_that_stops_makes_it_unhealthy_although_rents_are_served()
    {
        _client.BeginStopping();
        HealthReportEntry entry = await CheckAsync();
        Assert.Equal((HealthStatus.Unhealthy, "The host is stopping."), (entry.Status, entry.Description));
        Assert.Equal("Healthy", Data(entry, "cache")["status"]);
        PoolHarness.Return(await RentAsync(_client.GetPool("cache")));
    }

    [Fact]
    public async Task A_client_that_drains_or_is_closed_is_unhealthy()
    {
        TcpLease lease = await RentAsync(_client.GetPool("cache"));
        Task drain = _client.DrainAsync(Timeout.InfiniteTimeSpan).AsTask();
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync()).Status);
        lease.Dispose();
        await drain.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync()).Status);
    }

    [Fact]
    public async Task Ad_hoc_pools_are_no_part_of_it()
    {
        _fault = new IOException("away");
        await FailAsync(_client.GetPool(new IPEndPoint(IPAddress.Parse("10.1.0.1"), 7)));
        HealthReportEntry entry = await CheckAsync();
        Assert.Equal(HealthStatus.Healthy, entry.Status);
        Assert.Equal(2, entry.Data.Count);
    }

    [Fact]
    public async Task What_an_exception_says_is_nobodys_business()
    {
        _fault = new AuthenticationException($"AUTH {Secret} refused", new IOException(Secret));
        await FailAsync(_client.GetPool("cache"));
        HealthReportEntry entry = await CheckAsync();
        Assert.Null(entry.Exception);
        Assert.EndsWith("(last dial error 0 s ago: System.Security.Authentication.AuthenticationException).", entry.Description, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, entry.Description + JsonSerializer.Serialize(entry.Data), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_containers_of_the_same_registrations_look_at_their_own_clients()
    {
        ServiceCollection services = new();
        services.AddLogging();
        services.AddPooledTcp(static options => options.AddEndpoint("cache", static endpoint => endpoint.Address = "10.1.0.1:7000"));
        services.AddHealthChecks().AddPooledTcp();
        await using ServiceProvider first = services.BuildServiceProvider();
        await using ServiceProvider second = services.BuildServiceProvider();
        await first.GetRequiredService<PooledTcpClient>().DisposeAsync();
        Assert.Equal(HealthStatus.Unhealthy, (await ReportAsync(first)).Status);
        Assert.Equal(HealthStatus.Healthy, (await ReportAsync(second)).Status);
    }

    private static IReadOnlyDictionary<string, object> Data(HealthReportEntry entry, string endpoint) =>
        Assert.IsAssignableFrom<IReadOnlyDictionary<string, object>>(entry.Data[endpoint]);

    private static Task<HealthReport> ReportAsync(IServiceProvider services) =>
        services.GetRequiredService<HealthCheckService>().CheckHealthAsync(TestContext.Current.CancellationToken);

    private static Task<TcpLease> RentAsync(TcpPool pool) => pool.RentAsync(CancellationToken.None).AsTask().WaitAsync(PoolHarness.Hang);

    private static Task<EndpointUnavailableException> FailAsync(TcpPool pool) => Assert.ThrowsAsync<EndpointUnavailableException>(() => RentAsync(pool));

    private Task<HealthReport> ReportAsync() => ReportAsync(_services);

    private async Task<HealthReportEntry> CheckAsync() => (await ReportAsync()).Entries["pooled_tcp"];

    private async Task TimeOutAsync(TcpPool pool)
    {
        Task<TcpLease> rent = RentAsync(pool);
        await PoolHarness.UntilAsync(() => pool.GetSnapshot().Waiting == 1);
        _time.Advance(TimeSpan.FromSeconds(5));
        await Assert.ThrowsAsync<RentTimeoutException>(() => rent);
    }
}
