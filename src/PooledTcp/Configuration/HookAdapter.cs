using PooledTcp.Connections;

namespace PooledTcp.Configuration;

/// <summary>Hooks are written against the lease that users know; the pool calls them with the connection it holds.</summary>
internal static class HookAdapter
{
    public static Func<TcpConnection, CancellationToken, ValueTask<object?>> Handshake(ITcpHandshake handshake) =>
        (connection, cancellationToken) =>
            handshake.HandshakeAsync(new TcpLease(connection, connection.CurrentVersion), cancellationToken);

    public static Func<TcpConnection, CancellationToken, ValueTask> Reset(ITcpReset reset) =>
        (connection, cancellationToken) =>
            reset.ResetAsync(new TcpLease(connection, connection.CurrentVersion), cancellationToken);
}
