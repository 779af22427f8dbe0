using System.Diagnostics;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// Probing: idle connections are asked now and then whether the server answers, the coldest first, one at a time.
/// </summary>
/// <remarks>
/// <para>
/// A connection that is probed counts as idle: no caller wants it, so it must neither look like load nor make
/// MinIdleConnections dial. Its idle time runs on, as with HikariCP's keepaliveTime: a probe keeps a connection usable, not
/// wanted, and a pool that probed its surplus for ever would never shrink.
/// </para>
/// <para>
/// No rent waits for a probe where it could have what it wants otherwise: a probe begins only while nobody waits and another
/// connection is idle or one more may be dialed, under MaxTotalConnections, too. A pool at its limit whose one idle connection
/// is left is not probed, and none is while pools queue for a place: the connection may have to give way.
/// </para>
/// </remarks>
internal sealed partial class ConnectionPool
{
    /// <summary>Up to a fifth of the interval is taken off at random, so many clients do not ask one server at one moment.</summary>
    private const double ProbeJitter = 0.2;

    /// <summary>Often enough that a probe is not later than the jitter makes it early.</summary>
    private const int SweepsPerProbe = 5;

    private int _probing;

    /// <summary>A round is under way.</summary>
    public bool IsProbing => Volatile.Read(ref _probing) != 0;

    private Func<TcpLease, CancellationToken, ValueTask>? FindProbe(PoolSettings settings) =>
        Hooks.Probe ?? (settings.Health.Probe is { } script ? script.RunAsync : null);

    /// <summary>Part of the sweep. Finds whom to ask; asking them takes as long as it takes, and the next round waits for its end.</summary>
    private void StartProbes(TimeSpan now)
    {
        if (FindProbe(_settings) is not { } probe || IsProbing)
        {
            return;
        }

        List<TcpConnection>? due = null;
        foreach (TcpConnection? connection in _table.Items)
        {
            if (connection is { IsIdle: true } && IsProbeDue(connection, now))
            {
                (due ??= []).Add(connection);
            }
        }

        if (due is not null)
        {
            due.Sort(static (one, other) => one.IdleSince.CompareTo(other.IdleSince));
            Volatile.Write(ref _probing, 1);
            _ = ProbeAllAsync(due, probe);
        }
    }

    private bool IsProbeDue(TcpConnection connection, TimeSpan now)
    {
        if (connection.ProbeFactor == 0)
        {
            connection.ProbeFactor = 1 - (ProbeJitter * Services.NextRandom());
        }

        return now - connection.QuietSince >= _settings.Health.ProbeInterval * connection.ProbeFactor;
    }

    private async Task ProbeAllAsync(List<TcpConnection> due, Func<TcpLease, CancellationToken, ValueTask> probe)
    {
        try
        {
            foreach (TcpConnection connection in due)
            {
                // Its turn may come late: it may have been used, or closed, since it was chosen.
                if (!MayProbe(connection) || !IsProbeDue(connection, Services.Clock.Read()) || !connection.TryBeginProbe())
                {
                    continue;
                }

                // What a rent would not lend is not asked either: a FIN that is here already is no failed probe.
                if (IsUsable(connection))
                {
                    await ProbeAsync(connection, probe).ConfigureAwait(false);
                }
                else
                {
                    connection.EndProbe();
                }
            }
        }
        finally
        {
            Volatile.Write(ref _probing, 0);
        }
    }

    private bool MayProbe(TcpConnection candidate)
    {
        lock (_gate)
        {
            if (_state != PoolState.Open || _waiters.Count > 0 || _cap.IsTight)
            {
                return false;
            }

            if (CanDial() && _cap.HasRoomFor(_share))
            {
                return true;
            }

            foreach (TcpConnection? other in _table.Items)
            {
                if (other is { IsIdle: true } && other != candidate)
                {
                    return true;
                }
            }

            return false;
        }
    }

    private async Task ProbeAsync(TcpConnection connection, Func<TcpLease, CancellationToken, ValueTask> probe)
    {
        Exception? failure = null;
        Activity? span = _telemetry.StartHealthCheck(connection.Facts, "probe");
        TimeSpan? start = _telemetry.TimesHealthChecks ? Services.Clock.Read() : null;
        try
        {
            await RunHookAsync(connection, probe, _settings.Health.ProbeTimeout, "The probe took longer than Health.ProbeTimeout").ConfigureAwait(false);
            if (!connection.Transport.TryPark() || connection.Transport.CheckIdle() != IdleVerdict.Clean)
            {
                throw new InvalidOperationException("The server sent more than the answer to the probe, or closed after it.");
            }
        }
        catch (Exception e)
        {
            failure = e;
        }

        // If the pool took the socket away from the probe, that is no fault of either.
        CloseReason? cutShort = failure is null ? null : connection.InterruptReason ?? (connection.PeerHasClosed ? CloseReason.PeerClosed : null);
        _telemetry.HealthCheckEnded(
            span, "probe", start is null ? null : Services.Clock.Read() - start, failure, isCutShort: cutShort is not null);
        if (failure is null)
        {
            PutBack(connection);
            return;
        }

        connection.EndProbe();
        Remove(connection, cutShort ?? CloseReason.HealthCheckFailed);
        if (cutShort is null)
        {
            PoolLog.ProbeFailed(Log, failure, Name, connection.Id);
        }
    }

    /// <summary>Back to where it lay. The order of the statements is <see cref="TcpConnection.EndProbe"/>'s.</summary>
    private void PutBack(TcpConnection connection)
    {
        connection.ProbedAt = Services.Clock.Read();
        connection.ProbeFactor = 0;
        long version = connection.CurrentVersion;
        connection.PublishIdle();
        if (connection.EndProbe())
        {
            // Every warmer one was popped before it, so the top is its place.
            Idle.Push(connection);
        }

        // Who looked for idle connections meanwhile did not see it.
        LookAfterPublication(connection, version);
    }
}
