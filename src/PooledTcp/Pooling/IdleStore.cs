using PooledTcp.Connections;

namespace PooledTcp.Pooling;

/// <summary>
/// Where idle connections wait: one slot per processor, then the shared stack. A rent tries its own slot, the stack, the
/// other slots, in that order.
/// </summary>
/// <remarks>
/// A slot keeps pointing at its connection while that is leased. So a caller that rents and returns on one processor pays
/// one compare-and-swap on the connection's own word each way and touches nothing that another processor writes. All other
/// connections flow through the stack, the warmest on top, so the surplus of a burst sinks, stays idle and is trimmed.
/// </remarks>
internal readonly struct IdleStore
{
    private const int MaxSlots = 64;

    private readonly TcpConnection?[] _slots;
    private readonly IdleStack _stack;

    public IdleStore(int slots)
    {
        // A power of two: a mask finds the slot, where a division took as long as a swap.
        _slots = new TcpConnection?[(int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(slots, 1, MaxSlots))];
        _stack = new IdleStack();
    }

    /// <summary>An idle connection, now leased to nobody: the caller must lend, return or close it.</summary>
    public TcpConnection? TryTake()
    {
        TcpConnection? connection = Volatile.Read(ref _slots[_ownSlot & (_slots.Length - 1)]);
        return connection is not null && connection.TryTake() ? connection : TryTakeElsewhere();
    }

    private TcpConnection? TryTakeElsewhere()
    {
        TcpConnection? connection;
        _ownSlot = Thread.GetCurrentProcessorId();
        int own = OwnSlot();

        while ((connection = _stack.Pop()) is not null)
        {
            // One that cannot be taken was closed while it lay here; or it is being probed, and the probe then pushes it.
            if (connection.TryTake() || (!connection.NotePopped() && connection.TryTake()))
            {
                Settle(connection);
                return connection;
            }
        }

        for (int i = 0; i < _slots.Length; i++)
        {
            connection = Volatile.Read(ref _slots[(own + i) & (_slots.Length - 1)]);
            if (connection is not null && connection.TryTake())
            {
                return connection;
            }
        }

        return null;
    }

    /// <summary>
    /// Gives a connection this processor's slot if that is free. Only for who owns the connection alone (the pool, or a rent
    /// that has not lent it yet): a connection with a slot can be found the moment its word says idle, one without must be
    /// <see cref="Push"/>ed.
    /// </summary>
    public void Settle(TcpConnection connection)
    {
        if (connection.Slot >= 0)
        {
            return;
        }

        int own = OwnSlot();
        TcpConnection? occupant = Volatile.Read(ref _slots[own]);
        if ((occupant is null || occupant.IsClosed)
            && Interlocked.CompareExchange(ref _slots[own], connection, occupant) == occupant)
        {
            connection.Slot = own;
        }
    }

    /// <summary>
    /// Makes an idle connection findable, if it has no slot. After its word says idle, not before: a rent that popped it
    /// earlier would take it for a dead one and drop it.
    /// </summary>
    public void Push(TcpConnection connection)
    {
        if (connection.Slot < 0)
        {
            _stack.Push(connection);
        }
    }

    /// <summary>Lets go of a closed connection.</summary>
    public void Forget(TcpConnection connection)
    {
        if (connection.Slot >= 0)
        {
            Interlocked.CompareExchange(ref _slots[connection.Slot], null, connection);
        }
    }

    /// <summary>Where the pool lists its connections.</summary>
    public ConnectionTable Table => _stack.Table;

    /// <inheritdoc cref="IdleStack.Compact"/>
    public void Compact() => _stack.Compact();

    private int OwnSlot() => _ownSlot & (_slots.Length - 1);

    [ThreadStatic]
    private static int _ownSlot;
}
