using PooledTcp.Configuration;

namespace PooledTcp.Connections;

/// <summary>Opens one connection, TLS included; the protocol's own handshake comes after it. The seam the unit tests fake.</summary>
internal interface IConnector
{
    /// <summary>
    /// Dials the targets of <paramref name="race"/> and notes there what comes of each. On failure or cancellation nothing is
    /// left open. The token carries the whole ConnectTimeout budget.
    /// </summary>
    ValueTask<Transport> ConnectAsync(PoolSettings settings, DialRace race, CancellationToken cancellationToken);
}
