using Microsoft.Extensions.Logging;
using PooledTcp.Ports;

namespace PooledTcp.Telemetry;

/// <summary>The library's log events, with stable ids and names. What it writes holds no payload and no secret; a hook's exception speaks for itself.</summary>
internal static partial class PoolLog
{
    [LoggerMessage(1, LogLevel.Debug, "Pool {Pool}: connection {ConnectionId} opened.", EventName = "pooled_tcp.connection.opened")]
    public static partial void Opened(ILogger logger, string pool, long connectionId);

    [LoggerMessage(2, LogLevel.Debug, "Pool {Pool}: connection {ConnectionId} closed after {AgeSeconds:0.###} s and {Uses} uses: {Reason}, {Method}, by the {Initiator}: {Why}.", EventName = "pooled_tcp.connection.closed")]
    public static partial void Closed(
        ILogger logger, string pool, long connectionId, double ageSeconds, int uses, string reason, string method, string initiator, string why);

    [LoggerMessage(6, LogLevel.Warning, "Pool {Pool}: no local port is free: {Census}", EventName = "pooled_tcp.port.exhausted")]
    public static partial void PortsExhausted(ILogger logger, string pool, string census);

    [LoggerMessage(7, LogLevel.Warning, "Pool {Pool}: a close left a TIME-WAIT beyond Ports.TimeWaitShare, because a quiet close is off or missing here and AllowAbort is off.", EventName = "pooled_tcp.port.share_exceeded")]
    public static partial void ShareExceeded(ILogger logger, string pool);

    [LoggerMessage(9, LogLevel.Warning, "Pool {Pool}: local ports run short: {Used} of {Budget} are taken towards {Tuple}, {TimeWait} of them by TIME-WAITs of this process. Keep connections longer (Complete(), IdleTimeout, MaxUses), let the server close first (Shutdown.ClosesFirst), or connect from more addresses (Ports.SourceAddresses).", EventName = "pooled_tcp.port.pressure")]
    public static partial void PortPressure(ILogger logger, string pool, int used, int budget, PortTuple tuple, int timeWait);

    [LoggerMessage(10, LogLevel.Information, "Pool {Pool}: local ports suffice again: at most {Used} of {Budget} are taken towards one address.", EventName = "pooled_tcp.port.relieved")]
    public static partial void PortsRelieved(ILogger logger, string pool, int used, int budget);

    [LoggerMessage(3, LogLevel.Warning, "Pool {Pool}: a dial failed.", EventName = "pooled_tcp.connection.dial_failed")]
    public static partial void DialFailed(ILogger logger, Exception exception, string pool);

    [LoggerMessage(4, LogLevel.Warning, "Pool {Pool}: the reset hook failed on connection {ConnectionId}; it is closed.", EventName = "pooled_tcp.connection.reset_failed")]
    public static partial void ResetFailed(ILogger logger, Exception exception, string pool, long connectionId);

    [LoggerMessage(8, LogLevel.Warning, "Pool {Pool}: the probe of connection {ConnectionId} failed; it is closed.", EventName = "pooled_tcp.connection.probe_failed")]
    public static partial void ProbeFailed(ILogger logger, Exception exception, string pool, long connectionId);

    [LoggerMessage(20, LogLevel.Warning, "Pool {Pool}: the breaker is open after {Failures} failed dials in a row; rents that need a dial fail at once.", EventName = "pooled_tcp.breaker.opened")]
    public static partial void BreakerOpened(ILogger logger, string pool, int failures);

    [LoggerMessage(21, LogLevel.Information, "Pool {Pool}: a dial succeeded; the breaker is closed.", EventName = "pooled_tcp.breaker.closed")]
    public static partial void BreakerClosed(ILogger logger, string pool);

    [LoggerMessage(22, LogLevel.Warning, "Pool {Pool}: the lookup of {Host} failed; the known addresses stay in use.", EventName = "pooled_tcp.name.lookup_failed")]
    public static partial void LookupFailed(ILogger logger, Exception exception, string pool, string host);

    [LoggerMessage(23, LogLevel.Information, "Pool {Pool}: its name has {Count} addresses now, {Added} new and {Removed} gone.", EventName = "pooled_tcp.name.changed")]
    public static partial void AddressesChanged(ILogger logger, string pool, int count, int added, int removed);

    [LoggerMessage(30, LogLevel.Warning, "Pool {Pool}: the lease of connection {ConnectionId} was lost {AgeSeconds:0} s after its rent, without having been disposed; the connection is closed. Rented by: {Renter}", EventName = "pooled_tcp.lease.leaked")]
    public static partial void LeaseLeaked(ILogger logger, string pool, long connectionId, double ageSeconds, string renter);

    [LoggerMessage(31, LogLevel.Warning, "Pool {Pool}: the lease of connection {ConnectionId} has been out for {AgeSeconds:0} s, longer than Health.LeaseWarningAfter. Rented by: {Renter}", EventName = "pooled_tcp.lease.overdue")]
    public static partial void LeaseOverdue(ILogger logger, string pool, long connectionId, double ageSeconds, string renter);

    [LoggerMessage(5, LogLevel.Error, "Maintenance of a pool failed; it is tried again.", EventName = "pooled_tcp.maintenance.failed")]
    public static partial void MaintenanceFailed(ILogger logger, Exception exception);
}
