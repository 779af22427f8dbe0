using System.Numerics;
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
internal readonly struct IdleStore(TcpConnection?[] slots, int maxConnections, IdleStack stack)
{
    private const int MaxSlots = 64;

    /// <summary>The processor this thread ran on when it last found nothing in its slot.</summary>
    [ThreadStatic]
    private static int _processor;

    private readonly TcpConnection?[] _slots = slots;
    private readonly IdleStack _stack = stack;

    /// <summary>Finds the slot: a division took as long as a swap.</summary>
    private readonly int _mask = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(maxConnections, 1, slots.Length)) - 1;

    /// <param name="processors">A slot each.</param>
    public static TcpConnection?[] NewSlots(int processors) =>
        new TcpConnection?[(int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(processors, 1, MaxSlots))];

    /// <summary>The same for another limit: what lies in a slot is found there by any rent, whether that slot is used any more or not.</summary>
    public IdleStore For(int maxConnections) => new(_slots, maxConnections, _stack);

    /// <summary>An idle connection, now leased to nobody: the caller must lend, return or close it.</summary>
    public TcpConnection? TryTake()
    {
        TcpConnection? connection = Volatile.Read(ref _slots[OwnSlot()]);
        return connection is not null && connection.TryTake() ? connection : TryTakeElsewhere();
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

    /// <inheritdoc cref="IdleStack.Compact"/>
    public void Compact() => _stack.Compact();

    private TcpConnection? TryTakeElsewhere()
    {
        // Somebody has the connection of our slot: perhaps this thread is on another processor by now.
        _processor = Thread.GetCurrentProcessorId();
        int own = OwnSlot();
        TcpConnection? connection = Volatile.Read(ref _slots[own]);
        if (connection is not null && connection.TryTake())
        {
            return connection;
        }

        while ((connection = _stack.Pop()) is not null)
        {
            // One that cannot be taken was closed while it lay here; or it is being probed, and the probe then pushes it.
            if (connection.TryTake() || (!connection.NotePopped() && connection.TryTake()))
            {
                Settle(connection);
                return connection;
            }
        }

        for (int i = 1; i < _slots.Length; i++)
        {
            connection = Volatile.Read(ref _slots[(own + i) & (_slots.Length - 1)]);
            if (connection is not null && connection.TryTake())
            {
                return connection;
            }
        }

        return null;
    }

    /// <summary>A pool of one connection does not ask for the processor: 2.6 of 20 ns for a rent and return.</summary>
    private int OwnSlot() => _mask == 0 ? 0 : _processor & _mask;
}
