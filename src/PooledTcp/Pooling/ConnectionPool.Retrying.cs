using PooledTcp.Connections;
using PooledTcp.Shutdown;

namespace PooledTcp.Pooling;

/// <summary>
/// The place of a retry under MaxConnections. It is the one that the failed connection leaves; but if the limit was lowered
/// meanwhile nothing is left, and a retry, which takes no used connection, would wait for one of those to end by itself.
/// So another gives way to it: the coldest idle one, or else the next that is returned.
/// </summary>
internal sealed partial class ConnectionPool
{
    /// <summary>Under the gate: nothing was idle, so the next return looks whether it should go.</summary>
    private bool _retryLacksPlace;

    /// <summary>While a close is under way, its place is the retry's.</summary>
    private bool IsRetryStuck => _waiters.HasRetryWithoutDial && _closing == 0 && Live >= _settings.MaxConnections && _routes.LetsThrough;

    /// <summary>
    /// Under the gate, when a close has ended, a dial has failed, the limit was lowered, or the breaker lets dials through again: at
    /// any other time the failed connection may be open still. The caller schedules the run, outside.
    /// </summary>
    private CloseRun? MakeRoomForRetry()
    {
        if (!IsRetryStuck)
        {
            return null;
        }

        // First to be seen, then to look: a return that is missed here sees it after its publication.
        _retryLacksPlace = true;
        RefreshDetour();
        foreach (TcpConnection connection in _table.Items.ToArray().OfType<TcpConnection>().Where(static c => c.IsIdle).OrderBy(static c => c.IdleSince))
        {
            if (connection.TryEvict())
            {
                _retryLacksPlace = false;
                CloseRun run = TakeOut(connection, CloseReason.OverCapacity);
                RefreshDetour();
                return run;
            }
        }

        return null;
    }

    /// <summary>For whoever took a dial or a limit from under a retry, or let dials through again.</summary>
    private void CloseForRetry()
    {
        CloseRun? room;
        lock (_gate)
        {
            room = MakeRoomForRetry();
        }

        if (room is not null)
        {
            Services.Schedule(room);
        }
    }

    /// <summary>Under the gate: true for the one connection that goes.</summary>
    private bool YieldsToRetry()
    {
        if (!_retryLacksPlace)
        {
            return false;
        }

        // Once, whatever the answer: the end of the next close looks again.
        _retryLacksPlace = false;
        RefreshDetour();
        return IsRetryStuck;
    }
}
