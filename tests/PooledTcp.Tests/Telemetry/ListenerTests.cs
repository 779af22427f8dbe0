using System.Diagnostics.Metrics;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>What a listener costs the rents it listens to, and what it cannot do to them.</summary>
public sealed class ListenerTests
{
    private const int Rounds = 10_000;

    private long _measurements;

    [Fact]
    public async Task A_warm_rent_and_return_allocate_nothing_while_somebody_listens()
    {
        await using MetricRig rig = new(static o => o.MaxConnections = 1, listens: false);
        rig.Connector.Automatic = static _ => new FakeTransport { Mute = true };
        await rig.FillAsync(1);
        using MeterListener listener = Listen(rig, (_, _, _, _) => _measurements++);

        // The least of several runs: what the runtime does once on this thread does not come back.
        long least = long.MaxValue;
        for (int i = 0; i < 5; i++)
        {
            _measurements = 0;
            long before = GC.GetAllocatedBytesForCurrentThread();
            RentAndReturn(rig.Cache);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.Equal(2 * Rounds, _measurements);
        }

        Assert.Equal(0, least);
    }

    [Fact]
    public async Task Nobody_listening_is_not_noticed()
    {
        await using MetricRig rig = new(static o => o.MaxConnections = 1, listens: false);
        await rig.FillAsync(1);

        // A pool without background maintenance, which reads the clock when it likes.
        await using (PoolHarness quiet = PoolHarness.Automatic())
        {
            await quiet.FillAsync(1);
            long readings = quiet.Time.Readings;
            PoolHarness.Return(await quiet.RentAsync());
            Assert.Equal(readings, quiet.Time.Readings);
        }

        // A lease that nobody watched at its rent is not measured at its return.
        TcpLease lease = await rig.RentAsync();
        using MeterListener listener = Listen(rig, (_, _, _, _) => _measurements++);
        PoolHarness.Return(lease);
        Assert.Equal(0, _measurements);
        PoolHarness.Return(await rig.RentAsync());
        Assert.Equal(2, _measurements);
    }

    [Fact]
    public async Task A_listener_that_throws_costs_nobody_a_connection()
    {
        await using MetricRig rig = new(static o => o.MaxConnections = 1, listens: false);
        using MeterListener listener = Listen(rig, (_, _, _, _) =>
        {
            _measurements++;
            throw new InvalidOperationException("full");
        });
        TcpLease lease = await rig.RentAsync();
        Task<TcpLease> waiting = rig.RentAsync();
        PoolHarness.Return(lease);
        (await waiting).Dispose();
        PoolHarness.Return(await rig.RentAsync());
        await rig.UntilAsync(() => rig.Now is { Idle: 1, Used: 0, Connecting: 0, Closing: 0, Created: 2, Closed: 1 });
        Assert.True(_measurements > 0);
        Assert.Equal(1, rig.Connector.Live);
    }

    private static MeterListener Listen(MetricRig rig, MeasurementCallback<double> heard)
    {
        MeterListener listener = new()
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (ReferenceEquals(instrument.Meter.Scope, rig.Meters))
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback(heard);
        listener.Start();
        return listener;
    }

    private static void RentAndReturn(TcpPool pool)
    {
        for (int i = 0; i < Rounds; i++)
        {
            TcpLease lease = pool.RentAsync(CancellationToken.None).Result;
            lease.Complete();
            lease.Dispose();
        }
    }
}
