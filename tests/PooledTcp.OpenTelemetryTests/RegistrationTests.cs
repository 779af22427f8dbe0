using System.Diagnostics;
using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;
using Xunit;

namespace PooledTcp.OpenTelemetryTests;

/// <summary>Which sources and meters <c>AddPooledTcpInstrumentation</c> listens to, with stand-ins of the same names.</summary>
public sealed class RegistrationTests
{
    private const string Callers = "PooledTcp";
    private const string Connections = "Experimental.PooledTcp.Connections";
    private const string Names = "Experimental.System.Net.NameResolution";
    private const string Sockets = "Experimental.System.Net.Sockets";
    private const string Tls = "Experimental.System.Net.Security";

    [Fact]
    public void By_default_the_spans_of_callers_and_connections_are_collected() =>
        Assert.Equal([Callers, Connections], Collected(builder => builder.AddPooledTcpInstrumentation()));

    [Fact]
    public void The_spans_of_connections_can_be_left_out() =>
        Assert.Equal([Callers], Collected(builder => builder.AddPooledTcpInstrumentation(options => options.ConnectionSpans = false)));

    [Fact]
    public void The_spans_of_the_runtime_can_be_collected() =>
        Assert.Equal(
            [Callers, Connections, Names, Sockets, Tls],
            Collected(builder => builder.AddPooledTcpInstrumentation(options => options.NetworkSpans = true)));

    [Fact]
    public void Twice_collects_each_span_once() =>
        Assert.Equal([Callers, Connections], Collected(builder => builder.AddPooledTcpInstrumentation().AddPooledTcpInstrumentation()));

    [Fact]
    public void The_meter_is_collected_once_however_often_it_is_added()
    {
        List<Metric> exported = [];
        using MeterProvider provider = Sdk.CreateMeterProviderBuilder()
            .AddPooledTcpInstrumentation()
            .AddPooledTcpInstrumentation()
            .AddInMemoryExporter(exported)
            .Build();
        using Meter ours = new("PooledTcp");
        using Meter other = new("PooledTcp.Other");
        ours.CreateCounter<long>("registration.ours").Add(3);
        other.CreateCounter<long>("registration.other").Add(3);

        Assert.True(provider.ForceFlush());

        Metric metric = Assert.Single(exported, metric => metric.Name.StartsWith("registration.", StringComparison.Ordinal));
        Assert.Equal("registration.ours", metric.Name);
        foreach (ref readonly MetricPoint point in metric.GetMetricPoints())
        {
            Assert.Equal(3, point.GetSumLong());
        }
    }

    [Fact]
    public void Without_a_builder_there_is_a_clear_error()
    {
        Assert.Throws<ArgumentNullException>("builder", () => ((MeterProviderBuilder)null!).AddPooledTcpInstrumentation());
        Assert.Throws<ArgumentNullException>("builder", () => ((TracerProviderBuilder)null!).AddPooledTcpInstrumentation());
        Assert.Throws<ArgumentNullException>("builder", () => ((TracerProviderBuilder)null!).AddPooledTcpInstrumentation(_ => { }));
    }

    private static List<string> Collected(Action<TracerProviderBuilder> add)
    {
        List<Activity> exported = [];
        TracerProviderBuilder builder = Sdk.CreateTracerProviderBuilder().AddInMemoryExporter(exported);
        add(builder);
        using (builder.Build())
        {
            foreach (string name in (string[])[Callers, Connections, Names, Sockets, Tls, "PooledTcp.Other"])
            {
                using ActivitySource source = new(name);
                source.StartActivity("registration")?.Dispose();
            }
        }

        return [.. exported.Where(activity => activity.OperationName == "registration").Select(activity => activity.Source.Name)];
    }
}
