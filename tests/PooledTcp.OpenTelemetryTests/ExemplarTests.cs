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
        TcpLease lease = await client.RentAsync();
        using Measured measured = new(exemplars: true);
        Task<TcpLease> waiting;
        ActivityContext waiter;
        using (Activity request = traced.Start("waiter"))
        {
            waiter = request.Context;
            waiting = client.RentAsync();
        }

        ActivityContext returner;
        using (Activity request = traced.Start("returner"))
        {
            returner = request.Context;
            lease.Return();
        }

        lease = await waiting;
        AssertLeadsTo(returner, measured, "use_time", server);
        AssertLeadsTo(waiter, measured, "wait_time", server);
        lease.Return();
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
        AssertLeadsTo(request.Context, measured, "wait_time", server);
        lease.Return();
    }

    private static void AssertLeadsTo(ActivityContext expected, Measured measured, string metric, EchoServer server)
    {
        Measured.Series series = Assert.Single(
            measured.Read($"pooled_tcp.connection.{metric}", one => one.Attributes.EndsWith($" server.port={server.Port}", StringComparison.Ordinal)));
        Exemplar exemplar = Assert.Single(series.Exemplars);
        Assert.Equal(expected.TraceId, exemplar.TraceId);
        Assert.Equal(expected.SpanId, exemplar.SpanId);
    }
}
