using System.Diagnostics;
using PooledTcp.Connections;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>Hooks that run on a connection which is in the pool's hands: the reset, and what all of them have in common.</summary>
internal sealed partial class ConnectionPool
{
    /// <summary>Runs a hook on a connection that the pool has in its hands, and takes the connection back. Throws what the hook throws, or that it took too long.</summary>
    private async Task RunHookAsync(
        TcpConnection connection, Func<TcpLease, CancellationToken, ValueTask> hook, TimeSpan timeout, string tooLong)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(_closed.Token);
        using ITimer budget = Services.Clock.CreateTimer(static end => HookCancellation.Queue((CancellationTokenSource)end!), end, timeout);
        try
        {
            await HookLease.RunAsync<object?>(
                connection,
                async (lease, token) =>
                {
                    await hook(lease, token).ConfigureAwait(false);
                    return null;
                },
                end.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            throw new TimeoutException($"{tooLong} ({timeout.TotalSeconds:0.###} s).", e);
        }

        connection.HandTo(_warm);
    }

    /// <summary>Runs the reset hook before the connection goes idle. It counts as used meanwhile, and the caller does not wait.</summary>
    private async Task ResetAsync(TcpConnection connection, Func<TcpLease, CancellationToken, ValueTask> reset)
    {
        Exception? failure = null;
        Activity? span = _telemetry.StartHealthCheck(connection.Facts, "reset");
        TimeSpan? start = _telemetry.TimesHealthChecks ? Services.Clock.Read() : null;
        try
        {
            await RunHookAsync(connection, reset, _settings.ConnectTimeout, "The reset hook took longer than ConnectTimeout").ConfigureAwait(false);
        }
        catch (Exception e)
        {
            failure = e;
        }

        // If the pool took the socket away from the hook, that is no fault of either.
        CloseReason? interrupted = failure is null ? null : connection.InterruptReason;
        _telemetry.HealthCheckEnded(
            span, "reset", start is null ? null : Services.Clock.Read() - start, failure, isCutShort: interrupted is not null);
        if (failure is null)
        {
            Recycle(connection);
        }
        else if (interrupted is { } reason)
        {
            Remove(connection, reason);
        }
        else
        {
            PoolLog.ResetFailed(Log, failure, Name, connection.Id);
            Remove(connection, CloseReason.HealthCheckFailed);
        }
    }
}
