using PooledTcp.Connections;
using PooledTcp.Pooling;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>A probe and a rent that pops the same connection, in every order of their steps.</summary>
public sealed class ProbedConnectionTests : ILeaseOwner
{
    private readonly ConnectionTable _table = new();
    private readonly IdleStack _stack;
    private readonly TcpConnection _connection;

    public ProbedConnectionTests()
    {
        _stack = new IdleStack(_table);
        _connection = new TcpConnection(1, "fake", new FakeTransport(), this, 0, 1, new PoolClock(TimeProvider.System));
        _table.Add(_connection);
        _connection.PublishIdle();
        _stack.Push(_connection);
    }

    void ILeaseOwner.Return(TcpConnection connection, LeaseHandle handle, long version, bool discard) => throw new NotSupportedException();

    [Fact]
    public void A_rent_that_came_during_the_probe_leaves_a_note_and_the_probe_pushes()
    {
        Assert.True(_connection.TryBeginProbe());
        Assert.Same(_connection, _stack.Pop());
        Assert.False(_connection.TryTake());
        Assert.True(_connection.NotePopped());
        _connection.PublishIdle();
        Assert.True(_connection.EndProbe());
    }

    [Fact]
    public void A_note_that_came_too_late_means_that_it_can_be_taken()
    {
        Assert.True(_connection.TryBeginProbe());
        Assert.Same(_connection, _stack.Pop());
        Assert.False(_connection.TryTake());
        _connection.PublishIdle();
        Assert.False(_connection.EndProbe());
        Assert.False(_connection.NotePopped());
        Assert.True(_connection.TryTake());
    }

    [Fact]
    public void The_next_probe_does_not_take_the_late_note()
    {
        Assert.True(_connection.TryBeginProbe());
        Assert.Same(_connection, _stack.Pop());
        Assert.False(_connection.TryTake());
        _connection.PublishIdle();
        Assert.False(_connection.EndProbe());

        // The rent still has it in hand.
        Assert.False(_connection.TryBeginProbe());
        Assert.False(_connection.IsProbed);
        Assert.False(_connection.NotePopped());
        Assert.True(_connection.TryTake());
    }

    [Fact]
    public void A_rent_that_was_first_keeps_it()
    {
        Assert.Same(_connection, _stack.Pop());
        Assert.True(_connection.TryTake());
        Assert.False(_connection.TryBeginProbe());
        Assert.False(_connection.IsIdleOrProbed);
    }

    [Fact]
    public void The_rebuilding_of_the_stack_keeps_it()
    {
        Assert.True(_connection.TryBeginProbe());
        _stack.Compact();
        Assert.True(_connection.IsIdleOrProbed);
        _connection.PublishIdle();
        Assert.False(_connection.EndProbe());
        Assert.Same(_connection, _stack.Pop());
        Assert.True(_connection.TryTake());
    }
}
