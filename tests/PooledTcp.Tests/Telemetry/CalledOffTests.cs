using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>What the pool itself called off has neither succeeded nor failed; and what it tells last, it tells in time.</summary>
public sealed class CalledOffTests
{
    private const string CreateTime = "pooled_tcp.connection.create_time";
    private const string HealthCheck = "pooled_tcp.connection.health_check.duration";

    [Fact]
    public async Task A_dial_that_was_called_off_is_no_timeout()
    {
        await using MetricRig rig = new(automatic: false);
        Task<TcpLease> rent = rig.RentAsync();
        await rig.Connector.NextAsync();
        rig.Cache.Clear();
        FakeDial second = await rig.Connector.NextAsync();
        second.Open();
        PoolHarness.Return(await rent);
        Assert.Equal($"0 {MetricRig.Pool}", Assert.Single(rig.Read(CreateTime)));
        Assert.Equal(0, rig.Now.DialsFailed);
    }

    [Fact]
    public async Task A_reset_whose_connection_the_pool_took_away_did_not_fail()
    {
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        EndpointHooks hooks = new()
        {
            Reset = async (_, token) =>
            {
                running.SetResult();
                await new TaskCompletionSource().Task.WaitAsync(token);
            },
        };
        await using MetricRig rig = new(hooks: hooks);
        PoolHarness.Return(await rig.RentAsync());
        await running.Task.WaitAsync(PoolHarness.Hang);
        await rig.Client.DisposeAsync();
        Assert.Empty(rig.Read(HealthCheck));
        Assert.Equal(1, rig.Now.ClosedByReason["pool_shutdown"]);
    }

    [Fact]
    public async Task The_last_close_is_told_before_the_client_has_ended()
    {
        for (int i = 0; i < 50; i++)
        {
            await using MetricRig rig = new();
            await rig.FillAsync(2);
            await rig.Client.DisposeAsync();
            Assert.Equal(2, rig.Read("pooled_tcp.connection.closed").Count);
        }
    }
}
