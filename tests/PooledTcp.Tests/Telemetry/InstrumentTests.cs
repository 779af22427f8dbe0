using System.Diagnostics.Metrics;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>The meter has the instruments of the table and no others, each of its kind, unit and buckets.</summary>
public sealed class InstrumentTests
{
    [Fact]
    public async Task The_meter_has_the_instruments_of_the_table_and_no_others()
    {
        List<Instrument> found = await PublishedAsync();
        Assert.Equal(
            Instruments.Names.Order(StringComparer.Ordinal),
            found.Select(static one => one.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Each_has_its_kind_unit_buckets_and_a_description()
    {
        List<Instrument> found = await PublishedAsync();
        foreach ((string name, Type type, string unit, double[]? buckets) in Instruments.Table)
        {
            Instrument one = Assert.Single(found, one => one.Name == name);
            Assert.True(type == one.GetType(), $"{name} is a {one.GetType()}");
            Assert.Equal(unit, one.Unit);
            Assert.False(string.IsNullOrWhiteSpace(one.Description), name);
            Assert.Equal(buckets, (one as Histogram<double>)?.Advice?.HistogramBucketBoundaries);
        }
    }

    [Fact]
    public async Task No_name_collides_with_another_where_dots_become_underscores_and_suffixes_are_added()
    {
        List<Instrument> found = await PublishedAsync();
        string[] exported = [.. found.SelectMany(Exported)];
        Assert.Equal(exported.Length, exported.Distinct(StringComparer.Ordinal).Count());
        Assert.DoesNotContain(found, static one => one.Name.Contains("total", StringComparison.Ordinal));
    }

    /// <summary>As Prometheus spells them.</summary>
    private static IEnumerable<string> Exported(Instrument one)
    {
        string name = one.Name.Replace('.', '_');
        return one switch
        {
            Histogram<double> => [$"{name}_seconds_bucket", $"{name}_seconds_sum", $"{name}_seconds_count", $"{name}_count"],
            Counter<long> => [$"{name}_total"],
            _ => [name],
        };
    }

    private static async Task<List<Instrument>> PublishedAsync()
    {
        await using MetricRig rig = new(configure: static options => options.Telemetry.SocketCount = true);
        List<Instrument> found = [];
        using MeterListener listener = new()
        {
            InstrumentPublished = (instrument, _) =>
            {
                if (ReferenceEquals(instrument.Meter.Scope, rig.Meters))
                {
                    Assert.Equal("PooledTcp", instrument.Meter.Name);
                    found.Add(instrument);
                }
            },
        };
        listener.Start();
        return found;
    }
}
