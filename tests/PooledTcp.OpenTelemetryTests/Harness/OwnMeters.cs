using System.Diagnostics.Metrics;

namespace PooledTcp.OpenTelemetryTests.Harness;

/// <summary>A meter that no other test has told anything on: which addresses are told apart is settled once per meter.</summary>
internal sealed class OwnMeters : IMeterFactory
{
    private Meter? _meter;

    public Meter Create(MeterOptions options) => _meter ??= new Meter(options);

    public void Dispose() => _meter?.Dispose();
}
