using System.Diagnostics;
using PooledTcp.OpenTelemetryTests.Harness;
using Xunit;

namespace PooledTcp.OpenTelemetryTests;

/// <summary>The opt-in span of each lease, from rent to return.</summary>
public sealed class LeaseSpanTests
{
    private static PooledTcpClient Client(EchoServer server, bool spans) =>
        Clients.For(server.Address, static cache => cache.MaxConnections = 1, options => options.Telemetry.LeaseSpans = spans);

    [Fact]
    public async Task There_is_none_unless_asked_for()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Client(server, spans: false);
        (await client.RentAsync()).Return();
        (await client.RentAsync()).Return();
        Assert.DoesNotContain(traced.Spans, static span => span.DisplayName.StartsWith("pooled_tcp lease", StringComparison.Ordinal));
    }

    [Fact]
    public async Task It_lasts_from_rent_to_return_under_the_caller_whether_the_rent_waited_or_not()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Client(server, spans: true);
        List<(ActivityContext Caller, long Id)> expected = [];
        for (int i = 0; i < 2; i++)
        {
            using Activity caller = traced.Start("request");
            TcpLease lease = await client.RentAsync();
            Assert.Same(caller, Activity.Current);
            Assert.Equal(i == 1, lease.IsReused);
            expected.Add((caller.Context, lease.ConnectionId));
            Assert.Equal(i, traced.Spans.Count(static span => span.DisplayName == "pooled_tcp lease cache"));
            await Task.Delay(20);
            lease.Return();
            Assert.Same(caller, Activity.Current);
        }

        Activity setup = await traced.OneAsync($"pooled_tcp connection_setup 127.0.0.1:{server.Port}");
        Activity[] leases = await traced.ManyAsync("pooled_tcp lease cache", 2);
        Assert.Equal(2, leases.Length);
        for (int i = 0; i < 2; i++)
        {
            Activity lease = Assert.Single(leases, lease => lease.ParentSpanId == expected[i].Caller.SpanId);
            Assert.Equal("PooledTcp", lease.Source.Name);
            Assert.Equal(ActivityKind.Internal, lease.Kind);
            Assert.Equal(expected[i].Caller.TraceId, lease.TraceId);
            Assert.Equal(setup.Context, Assert.Single(lease.Links).Context);
            Assert.Equal(i == 1, lease.GetTagItem("pooled_tcp.connection.reused"));
            Assert.Equal(expected[i].Id, lease.GetTagItem("pooled_tcp.connection.id"));
            Assert.Equal(server.Port, lease.GetTagItem("network.peer.port"));
            Assert.Equal("cache", lease.GetTagItem("pooled_tcp.pool.name"));
            Assert.True(lease.Duration >= TimeSpan.FromMilliseconds(15), $"{lease.Duration}");
        }
    }

    [Fact]
    public async Task A_return_on_another_callers_stack_ends_the_right_one_and_leaves_that_callers_activity_alone()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Client(server, spans: true);
        TcpLease lease;
        ActivityContext renter;
        using (Activity caller = traced.Start("renter"))
        {
            renter = caller.Context;
            lease = await client.RentAsync();
        }

        using (Activity returner = traced.Start("returner"))
        {
            lease.Return();
            Assert.Same(returner, Activity.Current);
        }

        Assert.Equal(renter.SpanId, (await traced.OneAsync("pooled_tcp lease cache")).ParentSpanId);
    }

    [Fact]
    public async Task A_lease_that_is_discarded_or_outlived_by_its_client_ends_too()
    {
        await using EchoServer server = new();
        using Traced traced = new();
        PooledTcpClient client = Client(server, spans: true);
        (await client.RentAsync()).Discard();
        await traced.ManyAsync("pooled_tcp lease cache", 1);
        TcpLease lease = await client.RentAsync();
        await client.DisposeAsync();
        lease.Dispose();
        Assert.Equal(2, (await traced.ManyAsync("pooled_tcp lease cache", 2)).Length);
    }

    [Fact]
    public async Task What_the_holder_does_is_not_nested_under_it()
    {
        // The lease's span is not current: it would be the parent of what the caller does after the return.
        await using EchoServer server = new();
        using Traced traced = new();
        await using PooledTcpClient client = Client(server, spans: true);
        using Activity caller = traced.Start("request");
        TcpLease lease = await client.RentAsync();
        using (Activity work = traced.Start("work"))
        {
            Assert.Equal(caller.SpanId, work.ParentSpanId);
            lease.Return();
            Assert.Same(work, Activity.Current);
        }

        Assert.Same(caller, Activity.Current);
    }
}
