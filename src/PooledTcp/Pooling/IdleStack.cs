using System.Diagnostics;
using PooledTcp.Connections;

namespace PooledTcp.Pooling;

/// <summary>
/// A lock-free LIFO of idle connections, linked through the connections themselves: pushing and popping allocate nothing.
/// </summary>
/// <remarks>
/// <para>
/// Connections are pushed again and again, so a plain Treiber stack would fall to ABA: a thread reads head A and next B,
/// others pop A and B and push A back, and its swap would make B (now leased) the head. The head therefore carries a tag
/// that changes with every push and pop, beside the table number of the top connection (+ 1; 0 is empty).
/// </para>
/// <para>
/// A connection that closed while linked stays as a dead link: whoever pops it finds that it cannot be taken and drops it,
/// and <see cref="Compact"/> removes the rest. Its number is not given away before.
/// </para>
/// </remarks>
internal sealed class IdleStack(ConnectionTable table)
{
    private long _head;

    public void Push(TcpConnection connection)
    {
        Debug.Assert(!connection.Linked, "A connection is linked once.");
        connection.Linked = true;
        long head = Volatile.Read(ref _head);
        while (true)
        {
            connection.NextIdle = (int)head;
            long seen = Interlocked.CompareExchange(ref _head, Head(Tag(head) + 1, connection.TableIndex + 1), head);
            if (seen == head)
            {
                return;
            }

            head = seen;
        }
    }

    public TcpConnection? Pop()
    {
        while (true)
        {
            long head = Volatile.Read(ref _head);
            int number = (int)head;
            if (number == 0)
            {
                return null;
            }

            // The entry is null only if this head is history: the connection was popped, closed and delisted since.
            TcpConnection? top = table.At(number - 1);
            if (top is null)
            {
                continue;
            }

            // Possibly another life's link, if the top was popped since; then the tag has moved and the swap fails.
            int next = Volatile.Read(ref top.NextIdle);
            if (Interlocked.CompareExchange(ref _head, Head(Tag(head) + 1, next), head) == head)
            {
                top.Linked = false;
                return top;
            }
        }
    }

    /// <summary>
    /// Drops dead links and keeps the order of the others. Under the pool's gate: a rent that finds the stack empty
    /// meanwhile takes the gate before it gives up, and looks again.
    /// </summary>
    public void Compact()
    {
        int number = DetachAll();
        Stack<TcpConnection> alive = new();
        while (number != 0)
        {
            TcpConnection connection = table.At(number - 1)!;
            number = connection.NextIdle;
            connection.Linked = false;
            if (connection.IsIdleOrProbed)
            {
                alive.Push(connection);
            }
        }

        // The coldest is now on top of the list, so it goes back first.
        while (alive.TryPop(out TcpConnection? connection))
        {
            Push(connection);
        }
    }

    private int DetachAll()
    {
        long head = Volatile.Read(ref _head);
        while (true)
        {
            long seen = Interlocked.CompareExchange(ref _head, Head(Tag(head) + 1, 0), head);
            if (seen == head)
            {
                return (int)head;
            }

            head = seen;
        }
    }

    private static uint Tag(long head) => (uint)(head >>> 32);

    private static long Head(uint tag, int number) => ((long)tag << 32) | (uint)number;
}
