using System.Net;
using PooledTcp.Connections;
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

    double IPoolGauges.ReadPortPressure()
    {
        lock (_gate)
        {
            return FindFullest().Share;
        }
    }

    IReadOnlyList<PortReading> IPoolGauges.ReadPorts()
    {
        lock (_gate)
        {
            ForgetUnusedAccounts();
            return [.. _accounts.Select(account => new PortReading(account, _settings.Ports.BudgetOf(account.Usable), Services.Ports.Ledger.Use(account)))];
        }
    }

    IReadOnlyList<IPEndPoint> IPoolGauges.ReadAddresses()
    {
        lock (_gate)
        {
            return [.. _routes.Listed.Select(static route => route.Target.EndPoint).OfType<IPEndPoint>()];
        }
    }

    /// <summary>Ports outlive the pool that took them: what a retired pool still owes. Null when that is nothing.</summary>
    public FormerPool? FindDebts()
    {
        IReadOnlyList<PortReading> debts = ((IPoolGauges)this).ReadPorts();
        return debts.Count == 0 ? null : new FormerPool(_telemetry.Tags, debts, Services.Ports.Ledger);
    }

    public void ObserveServed(Waiter waiter, TcpConnection connection)
    {
        if (waiter.Facts is { } wait && _telemetry.WaitServed(wait, waiter.WaitedFor, connection.Facts) is { } span)
        {
            connection.GiveSpan(span);
        }
    }

    public void ObserveFailed(Waiter waiter, Exception failure)
    {
        if (waiter.Facts is { } wait)
        {
            _telemetry.WaitFailed(wait, waiter.WaitedFor, failure);
        }
    }

    /// <summary>How a waiter that is to be traced finds the pool. Under the gate, before it is queued.</summary>
    private void NoteState(Waiter waiter)
    {
        if (waiter.Facts is { IsTraced: true, Caller: not { IsAllDataRequested: false } } facts)
        {
            waiter.Facts = facts with { Pool = ReadState() };
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

    private void ObserveReturn(TimeSpan rentedAt) => _telemetry.Returned(Services.Clock.Read() - rentedAt);
}
