using System.Diagnostics;
using PooledTcp.OpenTelemetryTests.Harness;
using Xunit;

namespace PooledTcp.OpenTelemetryTests;

/// <summary>Setup, probe and close: roots of their own traces, since a connection outlives the caller it was opened for.</summary>
public sealed class ConnectionSpanTests
{
    [Fact]
    public async Task A_setup_is_the_root_of_its_own_trace_and_inherits_nothing()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address);
        using Activity caller = traced.Start("request");
        caller.AddBaggage("user", "42");
        caller.TraceStateString = "vendor=1";
        TcpLease lease = await client.RentAsync();
        long id = lease.ConnectionId;
        lease.Return();

        Activity setup = await traced.OneAsync($"pooled_tcp connection_setup 127.0.0.1:{server.Port}");
        Assert.Equal("Experimental.PooledTcp.Connections", setup.Source.Name);
        Assert.Equal(ActivityKind.Internal, setup.Kind);
        Assert.Equal(default, setup.ParentSpanId);
        Assert.Null(setup.Parent);
        Assert.NotEqual(caller.TraceId, setup.TraceId);
        Assert.Empty(setup.Baggage);
        Assert.Null(setup.TraceStateString);
        Assert.Empty(setup.Links);
        Assert.Equal(ActivityStatusCode.Unset, setup.Status);
        Assert.Equal("cache", setup.GetTagItem("pooled_tcp.pool.name"));
        Assert.Equal("127.0.0.1", setup.GetTagItem("server.address"));
        Assert.Equal(server.Port, setup.GetTagItem("server.port"));
        Assert.Equal(server.Port, setup.GetTagItem("network.peer.port"));
        Assert.Equal(id, setup.GetTagItem("pooled_tcp.connection.id"));
    }

    [Fact]
    public async Task Name_lookup_connect_and_TLS_handshake_nest_under_the_setup()
    {
        await using EchoServer server = new(tls: true);
        using Traced traced = new(static options => options.NetworkSpans = true);
        await using PooledTcpClient client = Clients.For($"localhost:{server.Port}", static cache =>
        {
            cache.Tls.Enabled = true;
            cache.Tls.RemoteCertificateValidationCallback = EchoServer.IsItsOwn;
        });
        using (traced.Start("request"))
        {
            (await client.RentAsync()).Return();
        }

        Activity setup = await traced.OneAsync($"pooled_tcp connection_setup localhost:{server.Port}");
        Activity[] nested = [.. traced.Spans.Where(span => span.ParentSpanId == setup.SpanId)];
        Assert.All(nested, span => Assert.Equal(setup.TraceId, span.TraceId));
        foreach (string source in (string[])["Experimental.System.Net.NameResolution", "Experimental.System.Net.Sockets", "Experimental.System.Net.Security"])
        {
            Assert.Contains(nested, span => span.Source.Name == source && span.Status != ActivityStatusCode.Error);
        }
    }

    [Fact]
    public async Task What_hooks_record_nests_under_the_work_they_are_part_of()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        Hooks hooks = new(traced);
        await using PooledTcpClient client = Clients.For(server.Address, cache => (cache.Handshake, cache.Reset) = (hooks, hooks));
        using (Activity caller = traced.Start("request"))
        {
            (await client.RentAsync()).Return();
            Assert.Same(caller, Activity.Current);
        }

        Activity setup = await traced.OneAsync($"pooled_tcp connection_setup 127.0.0.1:{server.Port}");
        Assert.Equal(setup.SpanId, (await traced.OneAsync("handshake")).ParentSpanId);
        Activity reset = await traced.OneAsync("pooled_tcp health_check");
        Assert.Equal("reset", reset.GetTagItem("pooled_tcp.health_check.kind"));
        Assert.Equal(reset.SpanId, (await traced.OneAsync("reset")).ParentSpanId);
        AssertLinkedRoot(reset, setup);
    }

    [Fact]
    public async Task Without_these_spans_a_wait_links_to_nothing()
    {
        await using EchoServer server = new();
        using Traced traced = new(static options => options.ConnectionSpans = false);
        await using PooledTcpClient client = Clients.For(server.Address);
        (await client.RentAsync()).Return();
        Assert.Empty((await traced.OneAsync($"pooled_tcp wait_for_connection 127.0.0.1:{server.Port}")).Links);
        Assert.DoesNotContain(traced.Spans, static span => span.Source.Name == "Experimental.PooledTcp.Connections");
    }

    [Fact]
    public async Task A_failed_dial_has_one_error_type_on_its_span_and_its_metric()
    {
        int port = EchoServer.UnusedPort();
        using Traced traced = new();
        using Measured measured = new();
        await using PooledTcpClient client = Clients.For($"127.0.0.1:{port}");
        await Assert.ThrowsAsync<EndpointUnavailableException>(client.RentAsync);

        Activity setup = await traced.OneAsync($"pooled_tcp connection_setup 127.0.0.1:{port}");
        Assert.Equal("connection_refused", setup.GetTagItem("error.type"));
        Assert.Equal(ActivityStatusCode.Error, setup.Status);
        Assert.Empty(setup.Events);
        Measured.Series series = Assert.Single(
            measured.Read("pooled_tcp.connection.create_time", one => one.Attributes.Contains($"server.port={port}", StringComparison.Ordinal)));
        Assert.Equal($"error.type=connection_refused pooled_tcp.pool.name=cache server.address=127.0.0.1 server.port={port}", series.Attributes);
        Assert.Equal(1, series.Value);
    }

    [Fact]
    public async Task A_name_that_is_unknown_has_one_error_type_on_its_span_and_its_metric()
    {
        using Traced traced = new();
        using Measured measured = new();
        await using PooledTcpClient client = Clients.For("no-such-host.invalid:7000", static cache => cache.ConnectTimeout = TimeSpan.FromSeconds(20));
        await Assert.ThrowsAnyAsync<PooledTcpException>(
            () => client.GetPool("cache").RentAsync(TimeSpan.FromSeconds(25), CancellationToken.None).AsTask());

        Activity setup = await traced.OneAsync("pooled_tcp connection_setup no-such-host.invalid:7000");
        string? error = setup.GetTagItem("error.type") as string;
        Assert.NotNull(error);
        Assert.Contains(
            measured.Read("pooled_tcp.connection.create_time"),
            one => one.Attributes.Contains($"error.type={error} pooled_tcp.pool.name=cache server.address=no-such-host.invalid", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_close_is_a_root_that_links_to_the_setup()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address);
        using (Activity caller = traced.Start("request"))
        {
            (await client.RentAsync()).Return();
            client.GetPool("cache").Clear();
            Assert.Same(caller, Activity.Current);
        }

        Activity setup = await traced.OneAsync($"pooled_tcp connection_setup 127.0.0.1:{server.Port}");
        Activity close = await traced.OneAsync("pooled_tcp connection_close");
        AssertLinkedRoot(close, setup);
        Assert.Equal("cleared", close.GetTagItem("pooled_tcp.connection.close.reason"));
        Assert.Equal("local", close.GetTagItem("pooled_tcp.connection.close.initiator"));
        Assert.NotNull(close.GetTagItem("pooled_tcp.connection.close.method"));
        Assert.Equal(setup.GetTagItem("pooled_tcp.connection.id"), close.GetTagItem("pooled_tcp.connection.id"));
        Assert.Equal(server.Port, close.GetTagItem("server.port"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_probe_is_a_root_that_links_to_the_setup(bool fails)
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address, cache =>
        {
            cache.Health.ProbeInterval = TimeSpan.FromSeconds(1);
            cache.Health.ProbeTimeout = TimeSpan.FromSeconds(20);
            cache.Health.ProbeProvider = new Ping(fails);
        });
        using (traced.Start("request"))
        {
            (await client.RentAsync()).Return();
        }

        Activity probe = (await traced.ManyAsync("pooled_tcp health_check", 1))[0];
        Activity setup = (await traced.ManyAsync($"pooled_tcp connection_setup 127.0.0.1:{server.Port}", 1))[0];
        AssertLinkedRoot(probe, setup);
        Assert.Equal("probe", probe.GetTagItem("pooled_tcp.health_check.kind"));
        Assert.Equal(setup.GetTagItem("pooled_tcp.connection.id"), probe.GetTagItem("pooled_tcp.connection.id"));
        Assert.Equal(fails ? "System.IO.InvalidDataException" : null, probe.GetTagItem("error.type"));
        Assert.Equal(fails ? ActivityStatusCode.Error : ActivityStatusCode.Unset, probe.Status);
    }

    private static void AssertLinkedRoot(Activity span, Activity setup)
    {
        Assert.Equal("Experimental.PooledTcp.Connections", span.Source.Name);
        Assert.Equal(ActivityKind.Internal, span.Kind);
        Assert.Equal(default, span.ParentSpanId);
        Assert.NotEqual(setup.TraceId, span.TraceId);
        Assert.Equal(setup.Context, Assert.Single(span.Links).Context);
    }

    private sealed class Ping(bool fails) : IConnectionProbe
    {
        public async ValueTask ProbeAsync(TcpLease lease, CancellationToken cancellationToken)
        {
            byte[] buffer = new byte[1];
            await lease.SendAsync(buffer, cancellationToken);
            await lease.ReceiveAsync(buffer, cancellationToken);
            if (fails)
            {
                throw new InvalidDataException("not PONG");
            }
        }
    }

    private sealed class Hooks(Traced traced) : ITcpHandshake, ITcpReset
    {
        public ValueTask<object?> HandshakeAsync(TcpLease lease, CancellationToken cancellationToken)
        {
            traced.Start("handshake").Dispose();
            return default;
        }

        public ValueTask ResetAsync(TcpLease lease, CancellationToken cancellationToken)
        {
            traced.Start("reset").Dispose();
            return default;
        }
    }
}
