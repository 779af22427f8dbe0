using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>Closes by reason, initiator and method, and what probes took.</summary>
public sealed class CloseMetricTests
{
    private const string Closed = "pooled_tcp.connection.closed";
    private const string HealthCheck = "pooled_tcp.connection.health_check.duration";

    [Fact]
    public async Task Abandoned()
    {
        await using MetricRig rig = new();
        (await rig.RentAsync()).Dispose();
        await AssertClosedAsync(rig, "abandoned", "local", "abort");
    }

    [Fact]
    public async Task Cleared()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(1);
        rig.Cache.Clear();
        await AssertClosedAsync(rig, "cleared", "local", "graceful");
    }

    [Fact]
    public async Task Closed_by_the_peer()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(1);
        rig.Connector.Transports.Single().PeerClosesNow();
        PoolHarness.Return(await rig.RentAsync());
        await AssertClosedAsync(rig, "peer_closed", "peer", "passive");
    }

    [Fact]
    public async Task Out_of_uses()
    {
        await using MetricRig rig = new(static o => o.MaxUses = 1);
        await rig.FillAsync(1);
        await AssertClosedAsync(rig, "max_uses", "local", "graceful");
    }

    [Fact]
    public async Task Faulted()
    {
        await using MetricRig rig = new();
        TcpLease lease = await rig.RentAsync();
        rig.Connector.Transports.Single().Fault = new IOException("gone");
        await Assert.ThrowsAnyAsync<IOException>(() => lease.ReceiveAsync(new byte[1]).AsTask());
        lease.Dispose();
        await AssertClosedAsync(rig, "faulted", "local", "abort");
    }

    [Fact]
    public async Task Idle_for_too_long()
    {
        await using MetricRig rig = new(static o => (o.Lifetime, o.RetentionPeriod) = (Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan));
        await rig.FillAsync(1);
        await rig.StepUntilAsync(() => rig.Read(Closed).Count > 0);
        await AssertClosedAsync(rig, "idle_timeout", "local", "graceful");
    }

    [Fact]
    public async Task Shut_down()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(1);
        await rig.Client.DisposeAsync();
        await AssertClosedAsync(rig, "pool_shutdown", "local", "quiet");
    }

    [Fact]
    public async Task Every_close_is_counted_once_and_the_sums_are_the_snapshots()
    {
        await using MetricRig rig = new();
        await rig.FillAsync(3);
        (await rig.RentAsync()).Dispose();
        (await rig.RentAsync()).Discard();
        rig.Cache.Clear();
        await rig.UntilAsync(() => rig.Now is { Idle: 0, Closing: 0 });
        IReadOnlyList<string> closed = await rig.ReadAsync(Closed, 3);
        Assert.Equal(rig.Now.Closed, closed.Count);
        Assert.Equal(rig.Now.ClosedByReason["abandoned"], closed.Count(static one => one.Contains("reason=abandoned", StringComparison.Ordinal)));
        Assert.Equal(rig.Now.ClosedByReason["cleared"], closed.Count(static one => one.Contains("reason=cleared", StringComparison.Ordinal)));
        Assert.Equal(3, (await rig.ReadAsync("pooled_tcp.connection.duration", 3)).Count);
    }

    [Fact]
    public async Task A_probe_takes_as_long_as_the_answer()
    {
        FakeProbe probe = new();
        await using MetricRig rig = new(Probed, probe.Hooks);
        await rig.FillAsync(1);
        await StepUntilProbingAsync(rig);
        (_, TaskCompletionSource answer) = await probe.NextAsync();
        rig.Time.Advance(TimeSpan.FromMilliseconds(7));
        answer.SetResult();

        // A step of the clock may have come between its first reading and the question.
        string measured = Assert.Single(await rig.ReadAsync(HealthCheck, 1));
        Assert.Contains(measured, (string[])[$"0.007 {Kind("probe")}", $"1.007 {Kind("probe")}"]);
    }

    [Fact]
    public async Task A_probe_that_failed_says_why()
    {
        EndpointHooks hooks = new() { Probe = static (_, _) => throw new InvalidDataException("not PONG") };
        await using MetricRig rig = new(Probed, hooks);
        await rig.FillAsync(1);
        await StepUntilProbingAsync(rig);
        Assert.EndsWith($" error.type=System.IO.InvalidDataException {Kind("probe")}", Assert.Single(await rig.ReadAsync(HealthCheck, 1)), StringComparison.Ordinal);
        await AssertClosedAsync(rig, "health_check_failed", "local", "abort");
    }

    [Fact]
    public async Task A_probe_without_an_answer_is_a_timeout()
    {
        FakeProbe probe = new();
        await using MetricRig rig = new(Probed, probe.Hooks);
        await rig.FillAsync(1);
        await StepUntilProbingAsync(rig);
        (_, TaskCompletionSource answer) = await probe.NextAsync();
        rig.Time.Advance(TimeSpan.FromHours(1));
        await rig.UntilAsync(() => rig.Now.Closed == 1 || rig.Read(HealthCheck).Count > 0);
        answer.TrySetResult();
        Assert.EndsWith($" error.type=System.TimeoutException {Kind("probe")}", Assert.Single(await rig.ReadAsync(HealthCheck, 1)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_probe_whose_connection_the_pool_took_away_has_neither_succeeded_nor_failed()
    {
        FakeProbe probe = new();
        await using MetricRig rig = new(Probed, probe.Hooks);
        await rig.FillAsync(1);
        await StepUntilProbingAsync(rig);
        (_, TaskCompletionSource answer) = await probe.NextAsync();
        rig.Cache.Clear(interruptLeases: true);
        answer.SetException(new IOException("the socket is gone"));
        await AssertClosedAsync(rig, "cleared", "local", "abort");
        Assert.Empty(rig.Read(HealthCheck));
    }

    [Fact]
    public async Task A_reset_is_a_health_check_of_its_own_kind()
    {
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        EndpointHooks hooks = new()
        {
            Reset = async (_, _) =>
            {
                running.SetResult();
                await answer.Task;
            },
        };
        await using MetricRig rig = new(hooks: hooks);
        await rig.FillAsync(1);
        await running.Task.WaitAsync(PoolHarness.Hang);
        rig.Time.Advance(TimeSpan.FromMilliseconds(7));
        answer.SetResult();
        Assert.Equal([$"0.007 {Kind("reset")}"], await rig.ReadAsync(HealthCheck, 1));
    }

    /// <summary>Nothing but a probe ends it.</summary>
    private static void Probed(TcpEndpointOptions options)
    {
        options.IdleTimeout = Timeout.InfiniteTimeSpan;
        options.RetentionPeriod = Timeout.InfiniteTimeSpan;
        options.Lifetime = Timeout.InfiniteTimeSpan;
        options.Health.ProbeInterval = TimeSpan.FromSeconds(20);
        options.Health.ProbeTimeout = TimeSpan.FromHours(1);
    }

    /// <summary>The clock stops as soon as a probe has begun.</summary>
    private static Task StepUntilProbingAsync(MetricRig rig) => rig.StepUntilAsync(() => rig.Cache.Core.IsProbing || rig.Read(HealthCheck).Count > 0);

    private static string Kind(string kind) => $"pooled_tcp.health_check.kind={kind} {MetricRig.Pool}";

    private static async Task AssertClosedAsync(MetricRig rig, string reason, string initiator, string method) =>
        Assert.Equal(
            [$"1 pooled_tcp.connection.close.initiator={initiator} pooled_tcp.connection.close.method={method} pooled_tcp.connection.close.reason={reason} {MetricRig.Pool}"],
            await rig.ReadAsync(Closed, 1));
}
