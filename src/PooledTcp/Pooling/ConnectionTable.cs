using System.Diagnostics;
using PooledTcp.Connections;

namespace PooledTcp.Pooling;

/// <summary>
/// Every connection of a pool, by a small number that stays its own as long as it is listed. The number is what lets the
/// idle stack link connections in one 64-bit word, and the list is what sweeps and snapshots walk.
/// </summary>
/// <remarks>Changed under the pool's gate only. <see cref="At"/> and <see cref="Items"/> may be read without it.</remarks>
internal sealed class ConnectionTable
{
    private readonly Stack<int> _free = new();
    private TcpConnection?[] _items = new TcpConnection?[8];
    private int _used;

    /// <summary>Connections listed, closed ones that the idle stack still links to included.</summary>
    public int Count { get; private set; }

    public ReadOnlySpan<TcpConnection?> Items => Volatile.Read(ref _items).AsSpan();

    public TcpConnection? At(int index) => Volatile.Read(ref _items)[index];

    public void Add(TcpConnection connection)
    {
        if (!_free.TryPop(out int index))
        {
            index = _used++;
            if (index == _items.Length)
            {
                TcpConnection?[] larger = new TcpConnection?[_items.Length * 2];
                _items.CopyTo(larger, 0);

                // Published before the connection is: whoever learns its number from the idle stack finds it here.
                Volatile.Write(ref _items, larger);
            }
        }

        connection.TableIndex = index;
        Volatile.Write(ref _items[index], connection);
        Count++;
    }

    public void Remove(TcpConnection connection)
    {
        int index = connection.TableIndex;
        Debug.Assert(!connection.Linked, "A number that the idle stack links to must not be given away.");
        Debug.Assert(ReferenceEquals(_items[index], connection), "A connection is removed once.");
        Volatile.Write(ref _items[index], null);
        connection.TableIndex = -1;
        _free.Push(index);
        Count--;
    }
}
