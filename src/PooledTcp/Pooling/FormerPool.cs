using System.Net;
using PooledTcp.Ports;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>An ad hoc pool that has retired while TIME-WAITs of its connections run: its ports stay in the metrics until they are over.</summary>
internal sealed class FormerPool(PoolTags tags, IReadOnlyList<PortReading> debts, PortLedger ledger) : IPoolGauges
{
    public PoolTags Tags => tags;

    public bool IsSettled => ReadPorts().Count == 0;

    public PoolReading Read() => default;

    public double ReadPortPressure() => 0;

    public IReadOnlyList<PortReading> ReadPorts() =>
        [.. debts.Select(debt => debt with { Use = ledger.Use(debt.Account) }).Where(static debt => debt.Use != default)];

    public IReadOnlyList<IPEndPoint> ReadAddresses() => [];
}
