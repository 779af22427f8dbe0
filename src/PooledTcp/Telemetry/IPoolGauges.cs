using System.Net;
using PooledTcp.Ports;

namespace PooledTcp.Telemetry;

/// <summary>What a pool answers when a collection asks. Nothing is counted for it between two collections.</summary>
internal interface IPoolGauges
{
    PoolTags Tags { get; }

    PoolReading Read();

    /// <summary>The share of its ports that the fullest of the pool's addresses has taken. Not of <see cref="Read"/>: it asks the ledger for each address.</summary>
    double ReadPortPressure();

    IReadOnlyList<PortReading> ReadPorts();

    /// <summary>The addresses in use.</summary>
    IReadOnlyList<IPEndPoint> ReadAddresses();
}

/// <summary>One pool, or several under one name, at one moment.</summary>
internal readonly record struct PoolReading(int Idle, int Used, int Connecting, int Closing, int Waiting, int Max, int MinIdle)
{
    public static PoolReading operator +(PoolReading a, PoolReading b) => new(
        a.Idle + b.Idle,
        a.Used + b.Used,
        a.Connecting + b.Connecting,
        a.Closing + b.Closing,
        a.Waiting + b.Waiting,
        a.Max + b.Max,
        a.MinIdle + b.MinIdle);
}

/// <summary>One account of ports of a pool, which may share it with others.</summary>
internal readonly record struct PortReading(PortAccount Account, int Budget, PortUse Use)
{
    /// <summary><c>0.0.0.0</c> or <c>::</c> where the kernel chooses it.</summary>
    public string LocalAddress =>
        !Account.Tuple.Source.IsAny ? Account.Tuple.Source.ToString() : Account.Tuple.Destination.IsIPv4 ? "0.0.0.0" : "::";
}
