using PooledTcp.Configuration;

namespace PooledTcp.Connections;

/// <summary>Opens one connection, TLS included; the protocol's own handshake comes after it. The seam the unit tests fake.</summary>
internal interface IConnector
{
    /// <summary>
    /// Dials <see cref="PoolSettings.Address"/>. On failure or cancellation nothing is left open.
    /// The token carries the whole ConnectTimeout budget.
    /// </summary>
    ValueTask<Transport> ConnectAsync(PoolSettings settings, CancellationToken cancellationToken);
}
