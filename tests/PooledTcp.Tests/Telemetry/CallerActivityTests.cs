using System.Diagnostics;
using System.Runtime.CompilerServices;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>Whose activity is current, and what a span keeps alive: nothing of one caller reaches another.</summary>
public sealed class CallerActivityTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_return_in_work_that_outlived_its_request_leaves_no_other_request_there(bool isTraced)
    {
        using ActivityListener? listener = isTraced ? Listen() : null;
        await using MetricRig rig = new(static o => o.MaxConnections = 1, configure: o => o.Telemetry.LeaseSpans = isTraced);
        TcpLease lease = await rig.RentAsync();
        Task<TcpLease> other = Task.Run(() =>
        {
            using Activity request = new Activity("other").AddBaggage("tenant", "other").Start();
            return rig.Cache.RentAsync().AsTask();
        });
        await rig.UntilAsync(() => rig.Now.Waiting == 1);

        Activity ended = new Activity("ended").Start();
        string? found = null;
        Thread background = new(() =>
        {
            ended.Stop();
            PoolHarness.Return(lease);
            found = Activity.Current?.OperationName;
        });
        background.Start();
        Assert.True(background.Join(PoolHarness.Hang));
        Assert.True(found is null or "ended", $"{found} was current after the return");
        PoolHarness.Return(await other.WaitAsync(PoolHarness.Hang));
    }

    [Fact]
    public async Task Neither_a_rent_nor_a_return_changes_what_is_current()
    {
        using ActivityListener listener = Listen();
        await using MetricRig rig = new(configure: static o => o.Telemetry.LeaseSpans = true);
        await rig.FillAsync(1);
        using Activity request = new Activity("request").Start();
        Assert.True(rig.Cache.TryRent(out TcpLease lease));
        Assert.Same(request, Activity.Current);
        PoolHarness.Return(lease);
        Assert.Same(request, Activity.Current);
    }

    /// <summary>The lease's span is held by its connection, and the request may lead to the lease.</summary>
    [Fact]
    public async Task A_lost_lease_is_found_though_it_has_a_span()
    {
        using ActivityListener listener = Listen();
        await using MetricRig rig = new(static o => o.MaxConnections = 1, configure: static o => o.Telemetry.LeaseSpans = true);
        await rig.Cache.WarmUpAsync(1, TestContext.Current.CancellationToken);
        await rig.UntilAsync(() => rig.Now.Idle == 1);
        Lose(rig.Cache);
        await CollectUntilAsync(() =>
        {
            // A sweep lets go of the lease's handle.
            rig.Time.Advance(TimeSpan.FromSeconds(1));
            return rig.Now.Closed == 1;
        });
        Assert.Equal(1, rig.Now.ClosedByReason["leaked"]);
    }

    [Fact]
    public async Task An_idle_connection_keeps_nothing_of_the_request_it_served()
    {
        using ActivityListener listener = Listen();
        await using MetricRig rig = new(configure: static o => o.Telemetry.LeaseSpans = true);
        await rig.FillAsync(1);
        WeakReference kept = Serve(rig.Cache);
        await CollectUntilAsync(() => !kept.IsAlive);
        Assert.Equal(1, rig.Now.Idle);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Lose(TcpPool pool) => OnAnotherThread(() =>
    {
        using Activity request = new Activity("request").Start();
        Assert.True(pool.TryRent(out TcpLease lease));
        request.SetCustomProperty("lease", lease);
    });

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference Serve(TcpPool pool)
    {
        WeakReference? kept = null;
        OnAnotherThread(() =>
        {
            using Activity request = new Activity("request").Start();
            object payload = new();
            kept = new WeakReference(payload);
            request.SetCustomProperty("payload", payload);
            Assert.True(pool.TryRent(out TcpLease lease));
            PoolHarness.Return(lease);
        });
        return kept!;
    }

    /// <summary>Its stack and its execution context are gone when it has ended.</summary>
    private static void OnAnotherThread(Action act)
    {
        Thread thread = new(() => act());
        thread.UnsafeStart();
        Assert.True(thread.Join(PoolHarness.Hang));
    }

    private static async Task CollectUntilAsync(Func<bool> found)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!found())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < PoolHarness.Hang, "It was never found.");
            GC.Collect();
            GC.WaitForPendingFinalizers();
            await Task.Yield();
        }
    }

    private static ActivityListener Listen()
    {
        ActivityListener listener = new()
        {
            ShouldListenTo = static source => source.Name == "PooledTcp",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }
}
