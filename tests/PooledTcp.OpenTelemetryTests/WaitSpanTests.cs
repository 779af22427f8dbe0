using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PooledTcp.OpenTelemetryTests.Harness;
using Xunit;

namespace PooledTcp.OpenTelemetryTests;

/// <summary><c>wait_for_connection</c>: whose child it is, when there is none, and what it tells.</summary>
public sealed class WaitSpanTests
{
    [Fact]
    public async Task A_rent_that_dials_waits_under_its_caller_and_links_to_the_setup()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address);
        IPEndPoint local;
        long id;
        using Activity caller = traced.Start("request");
        TcpLease lease = await client.RentAsync();
        Assert.Same(caller, Activity.Current);
        (local, id) = ((IPEndPoint)lease.LocalEndPoint!, lease.ConnectionId);
        lease.Return();
        Assert.Same(caller, Activity.Current);

        Activity wait = await traced.OneAsync($"pooled_tcp wait_for_connection 127.0.0.1:{server.Port}");
        Activity setup = await traced.OneAsync($"pooled_tcp connection_setup 127.0.0.1:{server.Port}");
        Assert.Equal("PooledTcp", wait.Source.Name);
        Assert.Equal(ActivityKind.Internal, wait.Kind);
        Assert.Equal(ActivityStatusCode.Unset, wait.Status);
        Assert.Equal(caller.TraceId, wait.TraceId);
        Assert.Equal(caller.SpanId, wait.ParentSpanId);
        Assert.Equal(setup.Context, Assert.Single(wait.Links).Context);
        Assert.True(wait.Duration > TimeSpan.Zero);
        Assert.InRange(wait.StartTimeUtc, caller.StartTimeUtc - TimeSpan.FromMilliseconds(1), caller.StartTimeUtc + Traced.Hang);
        AssertTags(wait, new()
        {
            ["pooled_tcp.pool.name"] = "cache",
            ["server.address"] = "127.0.0.1",
            ["server.port"] = server.Port,
            ["pooled_tcp.pool.idle"] = 0,
            ["pooled_tcp.pool.used"] = 0,
            ["pooled_tcp.pool.connecting"] = 0,
            ["pooled_tcp.pool.max"] = 100,
            ["pooled_tcp.pool.pending_requests"] = 0,
            ["pooled_tcp.connection.id"] = id,
            ["pooled_tcp.connection.reused"] = false,
            ["network.peer.address"] = "127.0.0.1",
            ["network.peer.port"] = server.Port,
            ["network.local.address"] = "127.0.0.1",
            ["network.local.port"] = local.Port,
        });
    }

    [Fact]
    public async Task A_rent_that_is_served_at_once_has_no_span()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address);
        (await client.RentAsync()).Return();
        await traced.OneAsync($"pooled_tcp wait_for_connection 127.0.0.1:{server.Port}");

        using Activity caller = traced.Start("request");
        TcpLease lease = await client.RentAsync();
        Assert.True(lease.IsReused);
        lease.Return();
        Assert.DoesNotContain(traced.Spans, span => span.TraceId == caller.TraceId);
    }

    [Fact]
    public async Task Who_is_handed_a_connection_waited_under_its_own_caller_and_sees_the_queue_it_joined()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address, static cache => cache.MaxConnections = 1);
        TcpLease lease = await client.RentAsync();
        (Task<TcpLease> Rent, ActivityContext Caller)[] waiting = new (Task<TcpLease>, ActivityContext)[2];
        for (int i = 0; i < waiting.Length; i++)
        {
            using Activity caller = traced.Start($"request {i}");
            waiting[i] = (client.RentAsync(), caller.Context);
        }

        using (Activity returner = traced.Start("returner"))
        {
            lease.Return();
            Assert.Same(returner, Activity.Current);
        }

        lease = await waiting[0].Rent;
        lease.Return();
        (await waiting[1].Rent).Return();

        Activity[] waits = await traced.ManyAsync($"pooled_tcp wait_for_connection 127.0.0.1:{server.Port}", 3);
        Activity setup = await traced.OneAsync($"pooled_tcp connection_setup 127.0.0.1:{server.Port}");
        for (int i = 0; i < waiting.Length; i++)
        {
            Activity wait = Assert.Single(waits, wait => wait.ParentSpanId == waiting[i].Caller.SpanId);
            Assert.Equal(waiting[i].Caller.TraceId, wait.TraceId);
            Assert.Equal(true, wait.GetTagItem("pooled_tcp.connection.reused"));
            Assert.Equal(1, wait.GetTagItem("pooled_tcp.pool.used"));
            Assert.Equal(i, wait.GetTagItem("pooled_tcp.pool.pending_requests"));
            Assert.Equal(setup.Context, Assert.Single(wait.Links).Context);
        }
    }

    [Fact]
    public async Task Without_a_caller_it_is_a_root()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address);
        (await client.RentAsync()).Return();
        Activity wait = await traced.OneAsync($"pooled_tcp wait_for_connection 127.0.0.1:{server.Port}");
        Assert.Equal(default, wait.ParentSpanId);
        Assert.Null(Activity.Current);
    }

    [Fact]
    public async Task A_callers_trace_that_is_not_sampled_gets_none()
    {
        await using EchoServer server = new();
        using Traced traced = new(sampler: new OpenTelemetry.Trace.AlwaysOffSampler());
        await using PooledTcpClient client = Clients.For(server.Address);
        (await client.RentAsync()).Return();
        Assert.Empty(traced.Spans);
    }

    [Theory]
    [InlineData("acquire_timeout")]
    [InlineData("System.OperationCanceledException")]
    [InlineData("pool_closed")]
    [InlineData("endpoint_unavailable")]
    public async Task A_rent_that_fails_tells_why(string expected)
    {
        await using EchoServer server = new();
        using Traced traced = new();
        using CancellationTokenSource cancel = new();
        int port = expected == "endpoint_unavailable" ? EchoServer.UnusedPort() : server.Port;
        await using PooledTcpClient client = Clients.For($"127.0.0.1:{port}", cache =>
        {
            cache.MaxConnections = 1;
            cache.RentTimeout = expected == "acquire_timeout" ? TimeSpan.FromMilliseconds(50) : TimeSpan.FromMinutes(1);
        });
        TcpPool pool = client.GetPool("cache");
        if (expected != "endpoint_unavailable")
        {
            // The one there may be is out, so everybody else waits.
            await pool.RentAsync(TimeSpan.FromMinutes(1), CancellationToken.None);
        }

        ActivityContext caller;
        Task<TcpLease> rent;
        using (Activity request = traced.Start("request"))
        {
            caller = request.Context;
            rent = pool.RentAsync(cancel.Token).AsTask();
            Assert.Same(request, Activity.Current);
        }

        if (expected == "System.OperationCanceledException")
        {
            await cancel.CancelAsync();
        }
        else if (expected == "pool_closed")
        {
            client.Dispose();
        }

        await Assert.ThrowsAnyAsync<Exception>(() => rent.WaitAsync(Traced.Hang));
        Activity[] waits = await traced.ManyAsync($"pooled_tcp wait_for_connection 127.0.0.1:{port}", expected == "endpoint_unavailable" ? 1 : 2);
        Activity wait = Assert.Single(waits, wait => wait.ParentSpanId == caller.SpanId);
        Assert.Equal(expected, wait.GetTagItem("error.type"));
        Assert.Equal(ActivityStatusCode.Error, wait.Status);
        Assert.Empty(wait.Links);
        Assert.Null(wait.GetTagItem("pooled_tcp.connection.id"));
        Assert.Equal(port, wait.GetTagItem("server.port"));
        Assert.Empty(wait.Events);
    }

    [Fact]
    public async Task A_rent_that_is_refused_at_once_waited_for_nothing()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address, static cache => (cache.MaxConnections, cache.MaxWaiters) = (1, 1));
        TcpLease lease = await client.RentAsync();
        Task<TcpLease> waiting = client.RentAsync();
        using (Activity caller = traced.Start("request"))
        {
            await Assert.ThrowsAsync<PoolQueueFullException>(client.RentAsync);
            Assert.DoesNotContain(traced.Spans, span => span.TraceId == caller.TraceId);
        }

        lease.Return();
        (await waiting).Return();
    }

    [Fact]
    public async Task An_exchange_runs_under_its_caller()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address);
        using Activity caller = traced.Start("request");
        Activity? inside = await client.GetPool("cache").ExecuteAsync(
            static (_, _, _) => ValueTask.FromResult(Activity.Current), 0, new ExchangeOptions(), CancellationToken.None);
        Assert.Same(caller, inside);
        Assert.Same(caller, Activity.Current);
        Assert.Equal(caller.SpanId, (await traced.OneAsync($"pooled_tcp wait_for_connection 127.0.0.1:{server.Port}")).ParentSpanId);
    }

    [Fact]
    public async Task Work_that_outlives_its_request_keeps_the_activity_it_has()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(
            server.Address, static cache => cache.MaxConnections = 1, static options => options.Telemetry.LeaseSpans = true);
        TaskCompletionSource answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task work;
        ActivityContext context;
        using (Activity request = traced.Start("request"))
        {
            context = request.Context;
            work = Task.Run(async () =>
            {
                await answered.Task;
                Assert.Same(request, Activity.Current);
                TcpLease dialed = await client.RentAsync();
                Assert.Same(request, Activity.Current);
                dialed.Return();
                Assert.Same(request, Activity.Current);
                TcpLease warm = await client.RentAsync();
                Assert.Same(request, Activity.Current);
                warm.Dispose();
                Assert.Same(request, Activity.Current);
            });
        }

        answered.SetResult();
        await work.WaitAsync(Traced.Hang);
        Assert.Equal(context.SpanId, (await traced.OneAsync($"pooled_tcp wait_for_connection 127.0.0.1:{server.Port}")).ParentSpanId);
        Assert.All(await traced.ManyAsync("pooled_tcp lease cache", 2), lease => Assert.Equal(context.SpanId, lease.ParentSpanId));
    }

    [Fact]
    public async Task A_listener_that_throws_costs_nobody_a_connection()
    {
        await using EchoServer server = new();
        await using PooledTcpClient client = Clients.For(
            server.Address, static cache => cache.MaxConnections = 1, static options => options.Telemetry.LeaseSpans = true);
        int heard = 0;
        using (ActivityListener listener = new()
        {
            ShouldListenTo = static source => source.Name.EndsWith("PooledTcp", StringComparison.Ordinal) || source.Name.EndsWith("PooledTcp.Connections", StringComparison.Ordinal),
            Sample = static (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _ =>
            {
                Interlocked.Increment(ref heard);
                throw new InvalidOperationException("full");
            },
        })
        {
            ActivitySource.AddActivityListener(listener);
            TcpLease lease = await client.RentAsync();
            Task<TcpLease> waiting = client.RentAsync();
            lease.Return();
            (await waiting).Dispose();
            (await client.RentAsync()).Return();
        }

        Assert.True(heard >= 5, $"{heard}");
        using CancellationTokenSource hang = new(Traced.Hang);
        TcpPoolSnapshot now = client.GetPool("cache").GetSnapshot();
        while (now.Closing > 0 && !hang.IsCancellationRequested)
        {
            await Task.Delay(10);
            now = client.GetPool("cache").GetSnapshot();
        }

        Assert.Equal((1, 0, 0, 0), (now.Idle, now.Used, now.Connecting, now.Closing));
        Assert.Null(Activity.Current);
    }

    [Fact]
    public async Task A_unix_socket_has_a_path_for_an_address()
    {
        string path = Path.Combine(Path.GetTempPath(), $"pooled-{Guid.NewGuid():N}.sock");
        try
        {
            await using EchoServer server = new(new UnixDomainSocketEndPoint(path));
            using Traced traced = new();
            await using PooledTcpClient client = Clients.For($"unix:{path}");
            (await client.RentAsync()).Return();
            Activity wait = await traced.OneAsync($"pooled_tcp wait_for_connection {path}");
            Assert.Equal(path, wait.GetTagItem("server.address"));
            Assert.Equal(path, wait.GetTagItem("network.peer.address"));
            Assert.DoesNotContain(wait.TagObjects, static tag => tag.Key.EndsWith(".port", StringComparison.Ordinal));
            await traced.OneAsync($"pooled_tcp connection_setup {path}");
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task A_mapped_address_is_told_as_IPv4()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For("cache.example:7000", cache => cache.ConnectCallback = async (_, token) =>
        {
            Socket socket = new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback.MapToIPv6(), server.Port), token);
            return socket;
        });
        (await client.RentAsync()).Return();
        foreach (string name in (string[])["wait_for_connection", "connection_setup"])
        {
            Activity span = await traced.OneAsync($"pooled_tcp {name} cache.example:7000");
            Assert.Equal("cache.example", span.GetTagItem("server.address"));
            Assert.Equal("127.0.0.1", span.GetTagItem("network.peer.address"));
            Assert.Equal("127.0.0.1", span.GetTagItem("network.local.address"));
        }
    }

    [Fact]
    public async Task An_ad_hoc_pool_is_named_so_and_has_its_address()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = new(new PooledTcpOptions());
        TcpPool pool = client.GetPool(new IPEndPoint(IPAddress.Loopback, server.Port), "tenant-a");
        (await pool.RentAsync(CancellationToken.None)).Return();
        Activity wait = await traced.OneAsync($"pooled_tcp wait_for_connection 127.0.0.1:{server.Port}");
        Assert.Equal("ad_hoc", wait.GetTagItem("pooled_tcp.pool.name"));
        Assert.Equal(server.Port, wait.GetTagItem("server.port"));
        Assert.DoesNotContain(wait.TagObjects, static tag => tag.Value is string text && text.Contains("tenant-a", StringComparison.Ordinal));
    }

    private static void AssertTags(Activity span, Dictionary<string, object?> expected) =>
        Assert.Equal(
            expected.OrderBy(static tag => tag.Key, StringComparer.Ordinal),
            span.TagObjects.OrderBy(static tag => tag.Key, StringComparer.Ordinal));
}
