using Microsoft.Extensions.Logging;
using PooledTcp.AspNetCore.Connections;

namespace PooledTcp.AspNetCore.Telemetry;

/// <summary>Log events of the server half: ids 200 to 219. No payload is ever logged.</summary>
internal static partial class ClosePolicyLog
{
    [LoggerMessage(200, LogLevel.Debug, "Connection {ConnectionId} closed: {Cause}, {Method}.", EventName = "pooled_tcp.server.connection.closed")]
    public static partial void Closed(ILogger logger, string connectionId, CloseCause cause, CloseMethod method);

    [LoggerMessage(
        201,
        LogLevel.Warning,
        "Connection {ConnectionId}: the client did not take the last bytes within {FlushTimeout}; it is reset, so that they do not seem complete.",
        EventName = "pooled_tcp.server.connection.flush_timeout")]
    public static partial void FlushTimedOut(ILogger logger, string connectionId, TimeSpan flushTimeout);
}
