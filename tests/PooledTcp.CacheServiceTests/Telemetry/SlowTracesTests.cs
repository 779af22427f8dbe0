using System.Diagnostics;
using CacheService.Telemetry;
using Microsoft.Extensions.Time.Testing;
using OpenTelemetry;
using OpenTelemetry.Trace;
using PooledTcp.CacheServiceTests.Support;
using Xunit;

namespace PooledTcp.CacheServiceTests.Telemetry;

/// <summary>Which spans go to the console.</summary>
public sealed class SlowTracesTests : IDisposable
{
    private static readonly TimeSpan SlowerThan = TimeSpan.FromMilliseconds(100);
    private static readonly DateTime Start = new(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    private readonly ActivitySource _source = new($"test {Guid.NewGuid():N}");
    private readonly FakeTimeProvider _time = new();
    private readonly Exporter _exporter = new();
    private readonly SlowTraces _slow;
    private readonly TracerProvider _provider;

    public SlowTracesTests()
    {
        _slow = new SlowTraces(_exporter, SlowerThan, _time);
        _provider = Sdk.CreateTracerProviderBuilder().AddSource(_source.Name).AddSource("PooledTcp").AddProcessor(_slow).Build();
    }

    public void Dispose()
    {
        _provider.Dispose();
        _source.Dispose();
    }

    [Fact]
    public void A_slow_request_is_shown_with_all_its_spans()
    {
        Request("slow", milliseconds: 100, "wait", "lease");

        Assert.Equal(["wait", "lease", "slow"], _exporter.Names);
    }

    [Fact]
    public void A_fast_one_is_not()
    {
        Request("fast", milliseconds: 99, "wait");

        Assert.Empty(_exporter.Names);
    }

    [Fact]
    public void One_a_second_is_enough()
    {
        Request("first", milliseconds: 500);
        _time.Advance(TimeSpan.FromMilliseconds(999));
        Request("second", milliseconds: 500);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Request("third", milliseconds: 500);

        Assert.Equal(["first", "third"], _exporter.Names);
    }

    [Fact]
    public void Of_the_pools_own_work_setups_are_shown_and_what_is_slow()
    {
        Own("PooledTcp.ConnectionSetup", milliseconds: 1);
        Own("PooledTcp.HealthCheck", milliseconds: 1);
        Own("PooledTcp.ConnectionClose", milliseconds: 200);

        Assert.Equal(["PooledTcp.ConnectionSetup", "PooledTcp.ConnectionClose"], _exporter.Names);
    }

    [Fact]
    public async Task A_wait_in_the_pool_is_shown_within_its_request_and_nowhere_else()
    {
        using var server = new ScriptedServer();
        await using CacheServiceApp service = await CacheServiceApp.StartAsync(server.Port, "--PooledTcp:Endpoints:cache:MaxConnections", "1");
        await service.Pool.WarmUpAsync(1, Patience.Token);
        await WaitInRequestAsync("slow", milliseconds: 100);
        _time.Advance(TimeSpan.FromHours(1));
        await WaitInRequestAsync("fast", milliseconds: 99);
        await WaitInRequestAsync("slow again", milliseconds: 100);
        await WaitInRequestAsync("slow, but too soon", milliseconds: 100);

        Assert.Equal(["PooledTcp.WaitForConnection", "slow", "PooledTcp.WaitForConnection", "slow again"], _exporter.Names);
        Assert.Equal(2, _exporter.Traces.Distinct().Count());
        Assert.Equal(_exporter.Traces[0], _exporter.Traces[1]);
        Assert.Equal(0, _slow.Kept);

        async Task WaitInRequestAsync(string name, int milliseconds)
        {
            Task<TcpLease> waiting;
            using Activity request = _source.StartActivity(name, ActivityKind.Server, Remote(), startTime: Start)!;
            await using (TcpLease lease = await service.Pool.RentAsync(Patience.Token))
            {
                waiting = service.Pool.RentAsync(Patience.Token).AsTask();
                await Patience.UntilAsync(() => Task.FromResult(service.Pool.GetSnapshot().Waiting == 1));

                // As long as what makes a request slow: if it were taken for a root, it would be shown.
                await Task.Delay(SlowerThan, Patience.Token);
                lease.Complete();
            }

            await using TcpLease served = await waiting;
            served.Complete();
            request.SetEndTime(Start.AddMilliseconds(milliseconds));
        }
    }

    [Fact]
    public void Requests_of_one_trace_side_by_side_keep_their_own_spans()
    {
        ActivityContext client = Remote();
        using Activity slow = _source.StartActivity("slow", ActivityKind.Server, client, startTime: Start)!;
        Activity.Current = null;
        using Activity fast = _source.StartActivity("fast", ActivityKind.Server, client, startTime: Start)!;
        _source.StartActivity("of fast", ActivityKind.Internal, fast.Context)!.Dispose();
        _source.StartActivity("of slow", ActivityKind.Internal, slow.Context)!.Dispose();

        fast.SetEndTime(Start.AddMilliseconds(1));
        fast.Stop();
        Assert.Equal(1, _slow.Kept);
        slow.SetEndTime(Start.AddMilliseconds(100));
        slow.Stop();

        Assert.Equal(["of slow", "slow"], _exporter.Names);
        Assert.Equal(0, _slow.Kept);
    }

    [Fact]
    public void What_outlives_its_request_is_kept_for_a_while_only()
    {
        for (int i = 0; i < 20_000; i++)
        {
            _source.StartActivity("late", ActivityKind.Internal, new ActivityContext(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded))!.Dispose();
        }

        Assert.Equal(10_000, _slow.Kept);
        Assert.Empty(_exporter.Names);
    }

    private static ActivityContext Remote() =>
        new(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded, isRemote: true);

    private void Request(string name, int milliseconds, params string[] children)
    {
        using Activity request = _source.StartActivity(name, ActivityKind.Server, default(ActivityContext), startTime: Start)!;
        foreach (string child in children)
        {
            using Activity? span = _source.StartActivity(child);
        }

        request.SetEndTime(Start.AddMilliseconds(milliseconds));
    }

    private void Own(string name, int milliseconds)
    {
        using Activity span = _source.StartActivity(name, ActivityKind.Internal, default(ActivityContext), startTime: Start)!;
        span.SetEndTime(Start.AddMilliseconds(milliseconds));
    }

    private sealed class Exporter : BaseExporter<Activity>
    {
        public List<string> Names { get; } = [];

        public List<ActivityTraceId> Traces { get; } = [];

        public override ExportResult Export(in Batch<Activity> batch)
        {
            foreach (Activity activity in batch)
            {
                Names.Add(activity.OperationName);
                Traces.Add(activity.TraceId);
            }

            return ExportResult.Success;
        }
    }
}
