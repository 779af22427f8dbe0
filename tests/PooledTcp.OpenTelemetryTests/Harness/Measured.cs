using System.Globalization;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace PooledTcp.OpenTelemetryTests.Harness;

/// <summary>A meter provider as an application would make one, with what it exports in memory.</summary>
internal sealed class Measured : IDisposable
{
    private readonly Exported<Metric> _metrics = [];
    private readonly MeterProvider _provider;

    public Measured(bool exemplars = false) => _provider = Sdk.CreateMeterProviderBuilder()
        .SetExemplarFilter(exemplars ? ExemplarFilterType.TraceBased : ExemplarFilterType.AlwaysOff)
        .AddPooledTcpInstrumentation()
        .AddInMemoryExporter(_metrics)
        .Build();

    /// <summary>Every series of that metric, as a backend would get it now, with the attributes of those that match.</summary>
    public List<Series> Read(string metric, Func<Series, bool>? matches = null)
    {
        _metrics.Clear();
        Xunit.Assert.True(_provider.ForceFlush());
        List<Series> series = [];
        foreach (Metric one in _metrics.Now.Where(one => one.Name == metric))
        {
            foreach (ref readonly MetricPoint point in one.GetMetricPoints())
            {
                series.Add(Series.Of(one, point));
            }
        }

        return [.. series.Where(one => matches is null || matches(one))];
    }

    /// <summary>Names of all metrics that have a series now.</summary>
    public string[] Names()
    {
        _metrics.Clear();
        Xunit.Assert.True(_provider.ForceFlush());
        return [.. _metrics.Now.Select(static one => one.Name).Distinct(StringComparer.Ordinal)];
    }

    public void Dispose() => _provider.Dispose();

    /// <summary>One series: its attributes sorted by name, its value (of a histogram the count), and its exemplars.</summary>
    internal sealed record Series(string Attributes, long Value, double Sum, IReadOnlyList<Exemplar> Exemplars)
    {
        public static Series Of(Metric metric, in MetricPoint point)
        {
            SortedDictionary<string, string> tags = new(StringComparer.Ordinal);
            foreach (KeyValuePair<string, object?> tag in point.Tags)
            {
                tags.Add(tag.Key, Convert.ToString(tag.Value, CultureInfo.InvariantCulture) ?? "");
            }

            List<Exemplar> exemplars = [];
            if (point.TryGetExemplars(out ReadOnlyExemplarCollection found))
            {
                foreach (ref readonly Exemplar exemplar in found)
                {
                    exemplars.Add(exemplar);
                }
            }

            bool isHistogram = metric.MetricType == MetricType.Histogram;
            return new Series(
                string.Join(' ', tags.Select(static tag => $"{tag.Key}={tag.Value}")),
                isHistogram ? point.GetHistogramCount() : metric.MetricType is MetricType.LongSum or MetricType.LongSumNonMonotonic ? point.GetSumLong() : point.GetGaugeLastValueLong(),
                isHistogram ? point.GetHistogramSum() : 0,
                exemplars);
        }
    }
}
