using System.Diagnostics;
using OpenTelemetry.Metrics;
using PooledTcp.OpenTelemetryTests.Harness;
using Xunit;

namespace PooledTcp.OpenTelemetryTests;

/// <summary>A bar of a histogram leads to the trace of whoever it is about.</summary>
public sealed class ExemplarTests
{
    [Fact]
    public async Task Waits_and_uses_lead_to_their_callers_and_dials_to_their_setups()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        using Measured measured = new(exemplars: true);
        await using PooledTcpClient client = Clients.For(server.Address);
        ActivityContext caller;
        using (Activity request = traced.Start("request"))
        {
            caller = request.Context;
            (await client.RentAsync()).Return();
        }

        Activity setup = await traced.OneAsync($"pooled_tcp connection_setup 127.0.0.1:{server.Port}");
        AssertLeadsTo(caller, measured, "wait_time", server);
        AssertLeadsTo(caller, measured, "use_time", server);
        AssertLeadsTo(setup.Context, measured, "create_time", server);
    }

    [Fact]
    public async Task The_wait_of_a_handed_over_connection_leads_to_the_one_who_waited()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address, static cache => cache.MaxConnections = 1);
        using Measured measured = new(exemplars: true);
        TcpLease lease = await client.RentAsync();
        ActivityContext returner;
        Activity waiter = traced.Start("waiter");
        Task<TcpLease> waiting = client.RentAsync();
        Activity.Current = null;
        using (Activity request = traced.Start("returner"))
        {
            returner = request.Context;
            lease.Return();
            Assert.Same(request, Activity.Current);
        }

        lease = await waiting;
        AssertLeadsTo(returner, measured, "use_time", server);
        AssertLeadsTo(waiter.Context, measured, "wait_time", server, "reused=True");
        lease.Return();
        waiter.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_wait_is_never_put_down_to_the_trace_of_who_ended_it(bool hadCaller)
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address, static cache => cache.MaxConnections = 1);
        using Measured measured = new(exemplars: true);
        TcpLease lease = await client.RentAsync();
        Activity? caller = hadCaller ? traced.Start("gone by then") : null;
        Task<TcpLease> waiting = client.RentAsync();
        caller?.Dispose();
        using (traced.Start("returner"))
        {
            lease.Return();
        }

        (await waiting).Return();
        Assert.Empty(Read(measured, "wait_time", server, "reused=True").Exemplars);
    }

    [Fact]
    public async Task The_wait_that_ended_at_its_deadline_leads_to_its_caller()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Clients.For(server.Address, static cache => cache.MaxConnections = 1);
        TcpLease lease = await client.RentAsync();
        using Measured measured = new(exemplars: true);
        using Activity request = traced.Start("request");
        await Assert.ThrowsAsync<RentTimeoutException>(
            () => client.GetPool("cache").RentAsync(TimeSpan.FromMilliseconds(50), CancellationToken.None).AsTask().WaitAsync(Traced.Hang));
        AssertLeadsTo(request.Context, measured, "wait_time", server, "error.type=acquire_timeout");
        lease.Return();
    }

    private static void AssertLeadsTo(ActivityContext expected, Measured measured, string metric, EchoServer server, string? which = null)
    {
        Exemplar exemplar = Assert.Single(Read(measured, metric, server, which).Exemplars);
        Assert.Equal(expected.TraceId, exemplar.TraceId);
        Assert.Equal(expected.SpanId, exemplar.SpanId);
    }

    private static Measured.Series Read(Measured measured, string metric, EchoServer server, string? which) => Assert.Single(measured.Read(
        $"pooled_tcp.connection.{metric}",
        one => one.Attributes.EndsWith($" server.port={server.Port}", StringComparison.Ordinal) && one.Attributes.Contains(which ?? "", StringComparison.Ordinal)));
}
