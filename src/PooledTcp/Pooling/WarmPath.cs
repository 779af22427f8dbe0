using PooledTcp.Connections;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// Rent and return of a warm connection while nothing special is going on: a swap each, no lock, no clock, no allocation; but its
/// first return has it watched. Whatever is special is <see cref="ConnectionPool"/>'s: the detour says so of the pool, the marks of a connection.
/// </summary>
/// <remarks>
/// An object of its own, and all that a warm rent and return read of a pool: with ten thousand keys a rent comes to memory that
/// no cache holds, and each line of it takes longer than the whole rent of one key.
/// </remarks>
internal sealed class WarmPath(PoolServices services) : ILeaseOwner
{
    private readonly SharedCap _cap = services.Cap;
    private readonly PoolInstruments _instruments = services.Telemetry.Instruments;
    private IdleStore _idle;
    private volatile Detour _detour;

    public ref IdleStore Idle => ref _idle;

    /// <summary>Whose it is.</summary>
    public ConnectionPool Pool { get; private set; } = null!;

    /// <summary>Written under the pool's gate, read without it.</summary>
    public Detour Detour
    {
        get => _detour;
        set => _detour = value;
    }

    /// <summary>
    /// Rents an idle connection if there is a good one and nobody waits for it. Allocates nothing, takes no lock, reads no
    /// clock; its one system call is the transport's check.
    /// </summary>
    public LeaseHandle? TryRent()
    {
        Detour detour = _detour;
        if ((detour & Detour.ConcernsRents) != Detour.None || _idle.TryTake() is not { } connection)
        {
            return null;
        }

        if (detour != Detour.None
            || (connection.Marks & ~Marks.ReturnsCarefully) != Marks.None
            || _instruments.WaitTime.Enabled
            || _instruments.UseTime.Enabled)
        {
            return Pool.TryLend(connection, verdict: null);
        }

        // Looked at once: on TLS the look takes what it finds out of the way of the next.
        IdleVerdict verdict = connection.Transport.CheckIdle();
        return verdict == IdleVerdict.Clean ? connection.Lend() : Pool.TryLend(connection, verdict);
    }

    /// <summary>Before anybody can rent.</summary>
    public void Open(ConnectionPool pool, IdleStack stack, int maxConnections)
    {
        Pool = pool;
        _idle = new IdleStore(stack, pool.Services.IdleSlots, maxConnections);
    }

    bool ILeaseOwner.TryReturnPlainly(TcpConnection connection, long seen)
    {
        if ((_detour & Detour.ConcernsReturns) != Detour.None || _cap.IsTight)
        {
            return false;
        }

        if (connection.IsMarked(Marks.Unwatched))
        {
            Pool.Watch(connection);
        }

        // The swap loses to any operation that started meanwhile, and to a second dispose.
        if (!connection.TryEndPlainly(seen))
        {
            return false;
        }

        // Its word says idle already: now link it, then read what others may have published before they could see it.
        _idle.Push(connection);
        if ((_detour & Detour.ConcernsReturns) != Detour.None || _cap.IsTight || connection.Marks != Marks.None)
        {
            Pool.LookAfterPublication(connection, LeaseWord.Version(seen));
        }

        return true;
    }

    void ILeaseOwner.Return(TcpConnection connection, LeaseHandle handle, long version, bool discard) =>
        Pool.ReturnCarefully(connection, handle, version, discard);
}
