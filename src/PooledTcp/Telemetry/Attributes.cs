namespace PooledTcp.Telemetry;

/// <summary>Names of attributes, on metrics and spans alike. Where OpenTelemetry has one, that is used.</summary>
internal static class Attributes
{
    public const string PoolName = "pooled_tcp.pool.name";
    public const string PoolIdle = "pooled_tcp.pool.idle";
    public const string PoolUsed = "pooled_tcp.pool.used";
    public const string PoolConnecting = "pooled_tcp.pool.connecting";
    public const string PoolPendingRequests = "pooled_tcp.pool.pending_requests";
    public const string PoolMax = "pooled_tcp.pool.max";
    public const string ConnectionId = "pooled_tcp.connection.id";
    public const string ConnectionReused = "pooled_tcp.connection.reused";
    public const string ConnectionState = "pooled_tcp.connection.state";
    public const string CloseReason = "pooled_tcp.connection.close.reason";
    public const string CloseInitiator = "pooled_tcp.connection.close.initiator";
    public const string CloseMethod = "pooled_tcp.connection.close.method";
    public const string HealthCheckKind = "pooled_tcp.health_check.kind";
    public const string ErrorType = "error.type";
    public const string ServerAddress = "server.address";
    public const string ServerPort = "server.port";
    public const string PeerAddress = "network.peer.address";
    public const string PeerPort = "network.peer.port";
    public const string LocalAddress = "network.local.address";
    public const string LocalPort = "network.local.port";
    public const string NetworkConnectionState = "network.connection.state";
}
