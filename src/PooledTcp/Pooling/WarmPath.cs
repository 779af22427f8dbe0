using System.Diagnostics.Metrics;
using PooledTcp.Connections;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// Rent and return of a warm connection while nothing special is going on: a swap each, no lock, no clock, no allocation.
/// Whatever is special is <see cref="ConnectionPool"/>'s: the detour says so of the pool, the marks of a connection.
/// </summary>
/// <remarks>
/// A base class for the same reason as <see cref="WarmState"/>: what it reads lies together.
/// </remarks>
internal abstract class WarmPath(PoolServices services, IdleStore idle) : ILeaseOwner
{
    protected readonly PoolServices _services = services;
    protected readonly SharedCap _cap = services.Cap;
    protected readonly IdleStore _idle = idle;

    /// <summary>Written under the gate, read without it.</summary>
    protected volatile Detour _detour;

    private readonly Histogram<double> _waitTime = services.Telemetry.Instruments.WaitTime;
    private readonly Histogram<double> _useTime = services.Telemetry.Instruments.UseTime;

    /// <summary>
    /// Rents an idle connection if there is a good one and nobody waits for it. Allocates nothing, takes no lock, reads no
    /// clock; its one system call is the transport's check.
    /// </summary>
    public bool TryRent(out TcpLease lease)
    {
        Detour detour = _detour;
        if ((detour & Detour.ConcernsRents) == Detour.None && _idle.TryTake() is { } connection)
        {
            if (detour == Detour.None
                && (connection.Marks & ~Marks.ReturnsCarefully) == Marks.None
                && !_waitTime.Enabled
                && !_useTime.Enabled
                && connection.Transport.CheckIdle() == IdleVerdict.Clean)
            {
                lease = connection.Lend();
                return true;
            }

            return TryLend(connection, out lease);
        }

        lease = default;
        return false;
    }

    void ILeaseOwner.Return(TcpConnection connection, long version, bool discard)
    {
        if (!discard && (_detour & Detour.ConcernsReturns) == Detour.None && !_cap.IsTight && connection.TryEndPlainly(version))
        {
            // Its word says idle already: now link it, then read what others may have published before they could see it.
            _idle.Push(connection);
            if ((_detour & Detour.ConcernsReturns) != Detour.None || _cap.IsTight || connection.Marks != Marks.None)
            {
                LookAfterPublication(connection, version);
            }

            return;
        }

        ReturnCarefully(connection, version, discard);
    }

    /// <summary>The rent of a connection that was taken from idle and is to be looked at closer, or told of.</summary>
    protected abstract bool TryLend(TcpConnection connection, out TcpLease lease);

    /// <summary>The return of a connection that is faulty, was not completed, has pipes or TLS, or is wanted by someone.</summary>
    protected abstract void ReturnCarefully(TcpConnection connection, long version, bool discard);

    /// <summary>The second half of a return: somebody waits, the pool closes or shrinks, or the connection was marked.</summary>
    protected abstract void LookAfterPublication(TcpConnection connection, long version);
}
