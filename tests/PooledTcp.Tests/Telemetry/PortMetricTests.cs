using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using PooledTcp.Configuration;
using PooledTcp.Pooling;
using PooledTcp.Ports;
using PooledTcp.Telemetry;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>Ports are shared by pools, outlive them, and are the kernel's: what metrics make of that.</summary>
public sealed class PortMetricTests : IDisposable
{
    private static readonly PortTuple Tuple = PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 7000));
    private static readonly PortTuple OtherTuple = PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.2"), 7000), IPAddress.Parse("10.0.0.9"));
    private static readonly PortRange Range = new(1000, 1099);

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly FakeTime _time = new();
    private readonly PortLedger _ledger;

    // The meter holds them weakly.
    private readonly List<ClientTelemetry> _clients = [];

    public PortMetricTests() => _ledger = new PortLedger(_time, TimeSpan.FromSeconds(65.2));

    private IMeterFactory Meters => _services.GetRequiredService<IMeterFactory>();

    [Fact]
    public void Partitions_of_one_address_share_its_ports()
    {
        PortAccount account = Live(_ledger, Tuple);
        Client(new Owner("ad_hoc", _ledger, account), new Owner("ad_hoc", _ledger, account));
        Assert.Equal(["1 0.0.0.0"], Read("used"));
        Assert.Equal(["100 0.0.0.0"], Read("budget"));
    }

    [Fact]
    public void Addresses_without_a_series_of_their_own_add_up()
    {
        Client(new Owner("ad_hoc", _ledger, Live(_ledger, Tuple)), new Owner("ad_hoc", _ledger, Live(_ledger, OtherTuple)));
        Assert.Equal(["1 0.0.0.0", "1 10.0.0.9"], Read("used"));
        Assert.Equal(["100 0.0.0.0", "100 10.0.0.9"], Read("budget"));
    }

    [Fact]
    public void Two_clients_hold_different_ports_of_one_range()
    {
        PortLedger others = new(_time, TimeSpan.FromSeconds(65.2));
        Client(new Owner("cache", _ledger, Live(_ledger, Tuple)));
        Client(new Owner("cache", others, Live(others, Tuple)));
        Assert.Equal(["2 0.0.0.0"], Read("used"));
        Assert.Equal(["100 0.0.0.0"], Read("budget"));
    }

    [Fact]
    public void What_a_retired_pool_owes_is_told_until_it_is_over()
    {
        PortAccount account = Live(_ledger, Tuple);
        _ledger.Closing(account);
        _ledger.Closed(account, PortDebt.TimeWait);
        FormerPool former = new(new PoolTags("ad_hoc", null, null), new Owner("ad_hoc", _ledger, account).ReadPorts(), _ledger);
        Client(former);
        Assert.Equal(["1 0.0.0.0"], Read("time_wait"));
        Assert.False(former.IsSettled);
        _time.Advance(TimeSpan.FromSeconds(65.2));
        Assert.True(former.IsSettled);
        Assert.Equal(["0 0.0.0.0"], Read("time_wait"));
        Assert.Equal(["0 0.0.0.0"], Read("used"));
    }

    public void Dispose() => _services.Dispose();

    private static PortAccount Live(PortLedger ledger, PortTuple tuple)
    {
        PortAccount account = ledger.Connecting(tuple, Range, 100);
        ledger.Connected(account);
        return account;
    }

    private void Client(params IPoolGauges[] pools) => _clients.Add(
        new ClientTelemetry(PoolInstruments.For(Meters), TelemetrySettings.From(new TcpTelemetryOptions())) { Pools = () => pools });

    private string[] Read(string gauge)
    {
        using MetricCollector<long> collector = new(Meters, "PooledTcp", $"pooled_tcp.port.{gauge}");
        collector.RecordObservableInstruments();
        return [.. collector.GetMeasurementSnapshot().Select(static one => $"{one.Value} {one.Tags["network.local.address"]}").Order(StringComparer.Ordinal)];
    }

    private sealed class Owner(string name, PortLedger ledger, params PortAccount[] accounts) : IPoolGauges
    {
        public PoolTags Tags { get; } = new(name, null, null);

        public PoolReading Read() => default;

        public double ReadPortPressure() => 0;

        public IReadOnlyList<PortReading> ReadPorts() =>
            [.. accounts.Select(account => new PortReading(account, account.Usable, ledger.Use(account)))];

        public IReadOnlyList<IPEndPoint> ReadAddresses() => [];
    }
}
