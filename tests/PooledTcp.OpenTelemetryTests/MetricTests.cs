using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;
using PooledTcp.OpenTelemetryTests.Harness;
using Xunit;

namespace PooledTcp.OpenTelemetryTests;

/// <summary>What arrives at an exporter, with real sockets.</summary>
public sealed class MetricTests
{
    [Fact]
    public async Task A_provider_that_starts_late_sees_the_true_states()
    {
        await using EchoServer server = new();
        await using PooledTcpClient client = Clients.For(server.Address);
        for (int i = 0; i < 50; i++)
        {
            TcpLease[] both = [await client.RentAsync(), await client.RentAsync()];
            Array.ForEach(both, Clients.Return);
        }

        TcpLease lease = await client.RentAsync();
        using Measured measured = new();
        Assert.Equal((Idle: 1, Used: 1, Connecting: 0, Closing: 0), States(measured, server));
        lease.Return();
        Assert.Equal((Idle: 2, Used: 0, Connecting: 0, Closing: 0), States(measured, server));
    }

    [Fact]
    public async Task States_are_never_negative_and_sum_to_the_connections_there_are()
    {
        await using EchoServer server = new();
        await using PooledTcpClient client = Clients.For(server.Address, static cache => cache.MaxConnections = 4);
        using Measured measured = new();
        Task[] load = [.. Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            for (int i = 0; i < 200; i++)
            {
                TcpLease lease = await client.RentAsync();
                if ((i + worker) % 10 != 0)
                {
                    lease.Complete();
                }

                lease.Dispose();
            }
        }))];
        Task all = Task.WhenAll(load);
        do
        {
            (long idle, long used, long connecting, long closing) = States(measured, server);
            Assert.True(idle >= 0 && used >= 0 && connecting >= 0 && closing >= 0, $"{idle} {used} {connecting} {closing}");
            Assert.InRange(idle + used + connecting + closing, 0, 4);
        }
        while (!all.IsCompleted);
        await all.WaitAsync(Traced.Hang);

        TcpPoolSnapshot now = client.GetPool("cache").GetSnapshot();
        await UntilAsync(() => (now = client.GetPool("cache").GetSnapshot()) is { Connecting: 0, Closing: 0 });
        Assert.Equal((now.Idle, 0, 0, 0), States(measured, server));
        Assert.Equal(1600, Sum("use_time"));
        Assert.Equal(1600, Sum("wait_time"));
        Assert.Equal(now.Created, Sum("create_time"));
        Assert.Equal(now.Closed, Sum("closed"));
        Assert.Equal(now.Closed, Sum("duration"));

        long Sum(string metric) => Of(measured, $"pooled_tcp.connection.{metric}", server).Sum(static one => one.Value);
    }

    [Fact]
    public async Task Two_clients_without_a_host_add_up()
    {
        await using EchoServer server = new();
        await using PooledTcpClient one = Clients.For(server.Address);
        await using PooledTcpClient other = Clients.For(server.Address);
        using Measured measured = new();
        (await one.RentAsync()).Return();
        TcpLease[] leases = [await other.RentAsync(), await other.RentAsync()];
        Assert.Equal((Idle: 1, Used: 2, Connecting: 0, Closing: 0), States(measured, server));
        Array.ForEach(leases, Clients.Return);
        Assert.Equal((Idle: 3, Used: 0, Connecting: 0, Closing: 0), States(measured, server));
        Assert.Equal(200, Assert.Single(Of(measured, "pooled_tcp.connection.max", server)).Value);
    }

    [Fact]
    public async Task A_host_exports_metrics_and_spans_of_the_registered_client()
    {
        await using EchoServer server = new();
        Exported<Metric> metrics = [];
        Exported<Activity> spans = [];
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Services.AddPooledTcp(options => options.AddEndpoint("cache", cache => cache.Address = server.Address));
        builder.Services.AddOpenTelemetry()
            .WithMetrics(metering => metering.AddPooledTcpInstrumentation().AddInMemoryExporter(metrics))
            .WithTracing(tracing => tracing.AddPooledTcpInstrumentation().AddInMemoryExporter(spans));
        using IHost host = builder.Build();
        await host.StartAsync();
        PooledTcpClient client = host.Services.GetRequiredService<PooledTcpClient>();
        (await client.RentAsync()).Return();
        Assert.True(host.Services.GetRequiredService<MeterProvider>().ForceFlush());
        foreach (string name in (string[])["pooled_tcp.connection.count", "pooled_tcp.connection.wait_time", "pooled_tcp.connection.create_time", "pooled_tcp.connection.use_time", "pooled_tcp.port.budget"])
        {
            Assert.Single(metrics.Now, metric => metric.Name == name);
        }

        Assert.Contains(spans.Now, span => span.DisplayName == $"pooled_tcp wait_for_connection 127.0.0.1:{server.Port}");
        await host.StopAsync();
    }

    [Fact]
    public async Task Ports_are_told_by_local_address()
    {
        await using EchoServer server = new();
        await using PooledTcpClient client = Clients.For(server.Address, static cache => cache.Shutdown.ClosesFirst = ClosesFirst.Client);
        using Measured measured = new();
        TcpLease[] leases = [await client.RentAsync(), await client.RentAsync(), await client.RentAsync()];
        Array.ForEach(leases, Clients.Return);
        TcpPoolSnapshot now = client.GetPool("cache").GetSnapshot();
        Assert.Equal(now.PortsUsed, Port("used"));
        Assert.Equal(3, Port("used"));
        Assert.Equal(now.PortBudget, Port("budget"));
        Assert.Equal(0, Port("time_wait"));

        client.GetPool("cache").Clear();
        await UntilAsync(() => Port("time_wait") == 3);
        Assert.Equal(3, Port("used"));

        long Port(string what)
        {
            Measured.Series series = Assert.Single(Of(measured, $"pooled_tcp.port.{what}", server));
            Assert.StartsWith("network.local.address=", series.Attributes, StringComparison.Ordinal);
            Assert.DoesNotContain("network.local.port", series.Attributes, StringComparison.Ordinal);
            return series.Value;
        }
    }

    [Fact]
    public async Task Partitions_of_one_address_draw_from_the_same_ports()
    {
        await using EchoServer server = new();
        using OwnMeters meters = new();
        await using PooledTcpClient client = new(new PooledTcpOptions(), meterFactory: meters);
        using Measured measured = new();
        IPEndPoint address = new(IPAddress.Loopback, server.Port);
        TcpLease[] leases = [await RentAsync("a"), await RentAsync("b"), await RentAsync("b")];
        Assert.Equal(3, Assert.Single(Of(measured, "pooled_tcp.port.used", server)).Value);
        Assert.Equal(
            client.GetPool(address, "a").GetSnapshot().PortBudget, Assert.Single(Of(measured, "pooled_tcp.port.budget", server)).Value);
        Array.ForEach(leases, Clients.Return);

        Task<TcpLease> RentAsync(string partition) =>
            client.GetPool(address, partition).RentAsync(TimeSpan.FromMinutes(1), CancellationToken.None).AsTask().WaitAsync(Traced.Hang);
    }

    /// <summary>The port stays taken for a minute after the pool that took it has gone.</summary>
    [Fact]
    public async Task Ports_outlive_the_ad_hoc_pool_that_owes_them()
    {
        await using EchoServer server = new();
        using OwnMeters meters = new();
        FakeTimeProvider time = new();
        PooledTcpOptions options = new();
        options.Defaults.Shutdown.ClosesFirst = ClosesFirst.Client;
        await using PooledTcpClient client = new(options, meterFactory: meters, timeProvider: time);
        using Measured measured = new();
        TcpPool pool = client.GetPool(new IPEndPoint(IPAddress.Loopback, server.Port));
        (await pool.RentAsync(CancellationToken.None).AsTask().WaitAsync(Traced.Hang)).Return();
        pool.Clear();
        await UntilAsync(() => Owed() == 1);
        DateTimeOffset began = time.GetUtcNow();
        await UntilAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return client.Pools.Count == 0;
        });
        Assert.InRange(time.GetUtcNow() - began, TimeSpan.Zero, TimeSpan.FromSeconds(60));
        Assert.Equal(1, Owed());
        time.Advance(TimeSpan.FromSeconds(65.2));
        Assert.Equal(0, Owed());

        long Owed() => Of(measured, "pooled_tcp.port.time_wait", server).Sum(static one => one.Value);
    }

    [Fact]
    public async Task Sockets_are_counted_by_the_kernels_states()
    {
        await using EchoServer server = new();
        await using PooledTcpClient client = Clients.For(server.Address, configure: static options => options.Telemetry.SocketCount = true);
        TcpLease[] leases = [await client.RentAsync(), await client.RentAsync()];
        using Measured measured = new();
        List<Measured.Series> sockets = Of(measured, "pooled_tcp.socket.count", server);
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        Assert.Equal(2, Assert.Single(sockets, one => one.Attributes == $"network.connection.state=established server.address=127.0.0.1 server.port={server.Port}").Value);
        Assert.Equal(0, Assert.Single(sockets, one => one.Attributes.StartsWith("network.connection.state=time_wait ", StringComparison.Ordinal)).Value);
        Array.ForEach(leases, Clients.Return);
    }

    private static (long Idle, long Used, long Connecting, long Closing) States(Measured measured, EchoServer server)
    {
        List<Measured.Series> states = Of(measured, "pooled_tcp.connection.count", server);
        Assert.Equal(4, states.Count);
        return (One("idle"), One("used"), One("connecting"), One("closing"));

        long One(string state) => Assert.Single(
            states, one => one.Attributes == $"pooled_tcp.connection.state={state} pooled_tcp.pool.name=cache server.address=127.0.0.1 server.port={server.Port}").Value;
    }

    private static List<Measured.Series> Of(Measured measured, string metric, EchoServer server) =>
        measured.Read(metric, one => one.Attributes.EndsWith($" server.port={server.Port}", StringComparison.Ordinal));

    private static async Task UntilAsync(Func<bool> condition)
    {
        using CancellationTokenSource hang = new(Traced.Hang);
        while (!condition())
        {
            Assert.False(hang.IsCancellationRequested, "The awaited state never came.");
            await Task.Delay(10, CancellationToken.None);
        }
    }
}
