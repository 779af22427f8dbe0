using Microsoft.Extensions.Logging;
using PooledTcp.Shutdown;

namespace PooledTcp.Telemetry;

/// <summary>The library's log events, with stable ids and names. No payload and no secret is ever logged.</summary>
internal static partial class PoolLog
{
    [LoggerMessage(1, LogLevel.Debug, "Pool {Pool}: connection {ConnectionId} opened.", EventName = "pooled_tcp.connection.opened")]
    public static partial void Opened(ILogger logger, string pool, long connectionId);

    [LoggerMessage(2, LogLevel.Debug, "Pool {Pool}: connection {ConnectionId} closed after {Uses} uses: {Reason}, {Method}, by the {Initiator}: {Why}.", EventName = "pooled_tcp.connection.closed")]
    public static partial void Closed(
        ILogger logger, string pool, long connectionId, int uses, CloseReason reason, string method, string initiator, string why);

    [LoggerMessage(6, LogLevel.Warning, "Pool {Pool}: no local port is free: {Census}", EventName = "pooled_tcp.port.exhausted")]
    public static partial void PortsExhausted(ILogger logger, string pool, string census);

    [LoggerMessage(7, LogLevel.Warning, "Pool {Pool}: a close left a TIME-WAIT beyond Ports.TimeWaitShare, because a quiet close is off or missing here and AllowAbort is off.", EventName = "pooled_tcp.port.share_exceeded")]
    public static partial void ShareExceeded(ILogger logger, string pool);

    [LoggerMessage(3, LogLevel.Warning, "Pool {Pool}: a dial failed.", EventName = "pooled_tcp.connection.dial_failed")]
    public static partial void DialFailed(ILogger logger, Exception exception, string pool);

    [LoggerMessage(4, LogLevel.Warning, "Pool {Pool}: the reset hook failed on connection {ConnectionId}; it is closed.", EventName = "pooled_tcp.connection.reset_failed")]
    public static partial void ResetFailed(ILogger logger, Exception exception, string pool, long connectionId);

    [LoggerMessage(30, LogLevel.Warning, "Pool {Pool}: the lease of connection {ConnectionId} was lost {AgeSeconds:0} s after its rent, without having been disposed; the connection is closed. Rented by: {Renter}", EventName = "pooled_tcp.lease.leaked")]
    public static partial void LeaseLeaked(ILogger logger, string pool, long connectionId, double ageSeconds, string renter);

    [LoggerMessage(31, LogLevel.Warning, "Pool {Pool}: the lease of connection {ConnectionId} has been out for {AgeSeconds:0} s, longer than Health.LeaseWarningAfter. Rented by: {Renter}", EventName = "pooled_tcp.lease.overdue")]
    public static partial void LeaseOverdue(ILogger logger, string pool, long connectionId, double ageSeconds, string renter);

    [LoggerMessage(5, LogLevel.Error, "Maintenance of a pool failed; it is tried again.", EventName = "pooled_tcp.maintenance.failed")]
    public static partial void MaintenanceFailed(ILogger logger, Exception exception);
}
