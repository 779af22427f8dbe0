using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Telemetry;

namespace PooledTcp.Tests.Shared;

/// <summary>Telemetry of a pool that there is not: for what closes or dials without one.</summary>
internal sealed class UnseenPool : IPoolGauges
{
    public static PoolTelemetry Telemetry { get; } = new(
        new ClientTelemetry(PoolInstruments.For(factory: null), TelemetrySettings.From(new TcpTelemetryOptions())),
        new UnseenPool(),
        "unseen",
        isAdHoc: false,
        EndpointAddress.Parse("unseen:1"));

    public PoolTags Tags => throw new NotSupportedException();

    public PoolReading Read() => default;

    public double ReadPortPressure() => 0;

    public IReadOnlyList<PortReading> ReadPorts() => [];

    public IReadOnlyList<IPEndPoint> ReadAddresses() => [];
}
