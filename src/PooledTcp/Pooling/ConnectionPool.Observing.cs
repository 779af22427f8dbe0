using System.Net;
using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>What collections read of the pool, and what is told of each rent and return. Never under the gate: others' code runs.</summary>
internal sealed partial class ConnectionPool : IPoolGauges
{
    private readonly PoolTelemetry _telemetry;

    public PoolTelemetry Telemetry => _telemetry;

    PoolTags IPoolGauges.Tags => _telemetry.Tags;

    PoolReading IPoolGauges.Read()
    {
        lock (_gate)
        {
            return ReadState();
        }
    }

    IReadOnlyList<PortReading> IPoolGauges.ReadPorts()
    {
        Dictionary<string, PortReading> readings = new(StringComparer.Ordinal);
        lock (_gate)
        {
            ForgetUnusedAccounts();
            foreach (PortAccount account in _accounts)
            {
                PortUse use = Services.Ports.Ledger.Use(account);
                string local = !account.Tuple.Source.IsAny ? account.Tuple.Source.ToString()
                    : account.Tuple.Destination.IsIPv4 ? "0.0.0.0"
                    : "::";
                PortReading so = readings.GetValueOrDefault(local);
                readings[local] = new PortReading(
                    local, so.Budget + _settings.Ports.BudgetOf(account.Usable), so.Used + use.Ports, so.TimeWait + use.Owed);
            }
        }

        return [.. readings.Values];
    }

    IReadOnlyList<IPEndPoint> IPoolGauges.ReadAddresses()
    {
        lock (_gate)
        {
            return [.. _routes.Listed.Select(static route => route.Target.EndPoint).OfType<IPEndPoint>()];
        }
    }

    public void ObserveServed(Waiter waiter, TcpConnection connection)
    {
        if (waiter.Facts is { } wait)
        {
            connection.LeaseSpan = _telemetry.WaitServed(wait, waiter.WaitedFor, connection.Facts);
        }
    }

    public void ObserveFailed(Waiter waiter, Exception failure)
    {
        if (waiter.Facts is { } wait)
        {
            _telemetry.WaitFailed(wait, waiter.WaitedFor, failure);
        }
    }

    /// <summary>Under the gate.</summary>
    private PoolReading ReadState()
    {
        int idle = CountIdle();
        bool isGone = _state is PoolState.Closed or PoolState.Retired;
        return new PoolReading(
            idle,
            _open - idle,
            _connecting,
            _closing,
            _waiters.Count,
            isGone ? 0 : _settings.MaxConnections,
            isGone ? 0 : _settings.MinIdleConnections);
    }

    private void ObserveReturn(in LeaseRecord lease) =>
        _telemetry.Returned(lease.Span, Services.Clock.Read() - lease.RentedAt);
}
