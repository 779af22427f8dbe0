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
internal struct IdleStore
{
    private const int MaxSlots = 64;

    /// <summary>The processor this thread ran on when it last found nothing in its slot.</summary>
    [ThreadStatic]
    private static int _processor;

    private readonly TcpConnection?[] _slots;
    private readonly IdleStack _stack;

    /// <summary>The pool's only connection: no need to know the processor, about 1 of 16 ns (measured).</summary>
    private TcpConnection? _only;

    /// <summary>Finds the slot: a division took as long as a swap.</summary>
    private int _mask;

    /// <param name="stack">For what has no slot.</param>
    /// <param name="processors">A slot each.</param>
    /// <param name="maxConnections">See <see cref="Resize"/>.</param>
    public IdleStore(IdleStack stack, int processors, int maxConnections)
    {
        _stack = stack;
        _slots = new TcpConnection?[(int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(processors, 1, MaxSlots))];
        Resize(maxConnections);
    }

    /// <summary>
    /// No more slots than connections. What lies in a slot that is not used any more is found there all the same. Under the pool's gate.
    /// </summary>
    public void Resize(int maxConnections) =>
        _mask = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(maxConnections, 1, _slots.Length)) - 1;

    /// <summary>The one connection that is open, or null. Set under the pool's gate.</summary>
    public TcpConnection? Only
    {
        readonly get => Volatile.Read(in _only);
        set => Volatile.Write(ref _only, value);
    }

    /// <summary>An idle connection, now leased to nobody: the caller must lend, return or close it.</summary>
    public TcpConnection? TryTake()
    {
        // One without a slot may lie in the stack, and whoever takes it has to pop it there.
        TcpConnection? connection = Only ?? Volatile.Read(ref At(_processor & _mask));
        return connection is { Slot: >= 0 } && connection.TryTake() ? connection : TryTakeElsewhere();
    }

    /// <summary>
    /// Gives a connection this processor's slot if that is free. Only for who owns the connection alone (the pool, or a rent
    /// that has not lent it yet): a connection with a slot can be found the moment its word says idle, one without must be
    /// <see cref="Push"/>ed.
    /// </summary>
    public void Settle(TcpConnection connection)
    {
        if (connection.Slot < 0)
        {
            TryPlace(connection, _processor & _mask);
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
            Interlocked.CompareExchange(ref At(connection.Slot), null, connection);
        }
    }

    /// <inheritdoc cref="IdleStack.Compact"/>
    public void Compact() => _stack.Compact();

    private TcpConnection? TryTakeElsewhere()
    {
        // Somebody has the connection of our slot: perhaps this thread is on another processor by now.
        _processor = Thread.GetCurrentProcessorId();
        int own = _processor & _mask;
        TcpConnection? connection = Volatile.Read(ref At(own));
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
            connection = Volatile.Read(ref At((own + i) & (_slots.Length - 1)));
            if (connection is not null && connection.TryTake())
            {
                // It comes along: else a caller on this processor would look for it everywhere, each time.
                int there = connection.Slot;
                if (TryPlace(connection, own))
                {
                    Interlocked.CompareExchange(ref At(there), null, connection);
                }

                return connection;
            }
        }

        return null;
    }

    /// <summary>Into a slot that is free. For who owns the connection alone.</summary>
    private bool TryPlace(TcpConnection connection, int slot)
    {
        TcpConnection? occupant = Volatile.Read(ref At(slot));
        if ((occupant is not null && !occupant.IsClosed)
            || Interlocked.CompareExchange(ref At(slot), connection, occupant) != occupant)
        {
            return false;
        }

        connection.Slot = slot;
        return true;
    }

    private ref TcpConnection? At(int slot) => ref _slots[slot];
}
