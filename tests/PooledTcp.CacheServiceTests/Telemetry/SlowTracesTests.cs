using System.Diagnostics;
using CacheService.Telemetry;
using Microsoft.Extensions.Time.Testing;
using OpenTelemetry;
using OpenTelemetry.Trace;
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
    private readonly TracerProvider _provider;

    public SlowTracesTests() => _provider = Sdk.CreateTracerProviderBuilder()
        .AddSource(_source.Name).AddProcessor(new SlowTraces(_exporter, SlowerThan, _time)).Build();

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

        public override ExportResult Export(in Batch<Activity> batch)
        {
            foreach (Activity activity in batch)
            {
                Names.Add(activity.OperationName);
            }

            return ExportResult.Success;
        }
    }
}
