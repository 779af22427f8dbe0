using System.Reflection;
using PooledTcp.Connections;
using PooledTcp.Pooling;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>The slots by themselves: where a connection lies, and who finds it there.</summary>
public sealed class IdleStoreTests
{
    private const int Slots = 4;

    private static readonly FieldInfo Processor = typeof(IdleStore).GetField("_processor", BindingFlags.Static | BindingFlags.NonPublic)!;

    private readonly ConnectionTable _table = new();
    private IdleStore _store;

    public IdleStoreTests() => _store = new IdleStore(new IdleStack(_table), Slots, Slots);

    [Fact]
    public void A_connection_comes_along_to_who_found_it_elsewhere()
    {
        (TcpConnection connection, int there, int here) = TakeFromElsewhere(occupied: false);
        Assert.Equal(here, connection.Slot);

        // And is gone from where it was: another connection finds that slot free.
        connection.TakeBack();
        connection.PublishIdle();
        TcpConnection other = NewPooled();
        Processor.SetValue(null, there);
        _store.Settle(other);
        Assert.Equal(there, other.Slot);
    }

    [Fact]
    public void It_stays_where_it_is_if_the_slot_is_taken()
    {
        (TcpConnection connection, int there, _) = TakeFromElsewhere(occupied: true);
        Assert.Equal(there, connection.Slot);
        connection.TakeBack();
        connection.PublishIdle();
        Assert.Same(connection, _store.TryTake());
    }

    [Fact]
    public void The_only_connection_is_taken_from_where_it_lies()
    {
        // The last of many: it had no slot, so it lies in the stack.
        TcpConnection connection = NewPooled();
        connection.PublishIdle();
        _store.Push(connection);
        _store.Only = connection;
        Assert.Same(connection, _store.TryTake());
        Assert.False(connection.Linked);
        Assert.True(connection.Slot >= 0);

        // From then on whoever comes finds it at once, and it stays where it is.
        int slot = connection.Slot;
        connection.TakeBack();
        connection.PublishIdle();
        Processor.SetValue(null, slot ^ 1);
        Assert.Same(connection, _store.TryTake());
        Assert.Equal(slot, connection.Slot);
        Assert.Null(_store.TryTake());
    }

    /// <summary>A rent on another processor than the one whose slot holds the connection, and none moved this thread meanwhile.</summary>
    private (TcpConnection Connection, int There, int Here) TakeFromElsewhere(bool occupied)
    {
        while (true)
        {
            _store = new IdleStore(new IdleStack(_table), Slots, Slots);
            int here = Thread.GetCurrentProcessorId() & (Slots - 1);
            int there = (here + 2) & (Slots - 1);
            if (occupied)
            {
                // On loan: a slot keeps pointing at its connection meanwhile.
                TcpConnection onLoan = NewPooled();
                Processor.SetValue(null, here);
                _store.Settle(onLoan);
            }

            TcpConnection connection = NewPooled();
            Processor.SetValue(null, there);
            _store.Settle(connection);
            Assert.Equal(there, connection.Slot);
            connection.PublishIdle();
            Processor.SetValue(null, here);
            TcpConnection? taken = _store.TryTake();
            if ((Thread.GetCurrentProcessorId() & (Slots - 1)) == here)
            {
                Assert.Same(connection, taken);
                return (connection, there, here);
            }
        }
    }

    private TcpConnection NewPooled()
    {
        TcpConnection connection = new(
            PoolServices.NextConnectionId(), "fake", new FakeTransport(), null!, 0, 1, new PoolClock(TimeProvider.System));
        _table.Add(connection);
        return connection;
    }
}
