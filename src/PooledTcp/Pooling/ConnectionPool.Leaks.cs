using System.Diagnostics;
using System.Runtime.CompilerServices;
using PooledTcp.Connections;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// Leases that do not come back: the lost ones, which the garbage collector finds (<see cref="LeaseHandle"/>) and which end
/// as every other return does, and those that somebody holds for long.
/// </summary>
internal sealed partial class ConnectionPool
{
    /// <summary>The rent that calls this, if the endpoint wants to know.</summary>
    private StackTrace? CaptureRenter() => _settings.Health.CaptureLeaseStacks ? CaptureStack() : null;

    /// <summary>Not inlined, so that just this frame is left out. File names would cost a look into the symbols each time.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static StackTrace CaptureStack() => new(skipFrames: 1, fNeedFileInfo: false);

    private void ReportLeak(TcpConnection connection) => PoolLog.LeaseLeaked(
        Log, Name, connection.Id, connection.LeaseAge.TotalSeconds, DescribeRenter(connection.RentedBy));

    /// <summary>Part of the sweep.</summary>
    private void WarnOfOverdueLeases(TimeSpan now)
    {
        TimeSpan limit = _settings.Health.LeaseWarningAfter;
        if (limit == Timeout.InfiniteTimeSpan)
        {
            return;
        }

        // Read without the gate: the sweep alone warns, and the log must not be written under it.
        foreach (TcpConnection? connection in _table.Items)
        {
            if (connection is not null && connection.TryFindOverdue(now, limit))
            {
                PoolLog.LeaseOverdue(
                    Log, Name, connection.Id, connection.LeaseAge.TotalSeconds, DescribeRenter(connection.RentedBy));
            }
        }
    }

    private static string DescribeRenter(StackTrace? renter) =>
        renter is null ? "unknown; set Health.CaptureLeaseStacks to see it." : Environment.NewLine + renter;
}
