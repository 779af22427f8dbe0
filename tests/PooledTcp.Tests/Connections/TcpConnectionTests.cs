using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>The state word, one step at a time: the interleavings that decide who a connection belongs to.</summary>
public sealed class TcpConnectionTests
{
    [Fact]
    public void A_returner_takes_back_its_own_publication_and_no_later_one()
    {
        TcpConnection connection = NewConnection();
        long first = connection.CurrentVersion;
        connection.PublishIdle();

        // Another caller rents and returns it; that return is about to link it into the stack.
        Assert.True(connection.TryTake());
        long second = connection.CurrentVersion;
        connection.BeginLease();
        Assert.False(connection.TryTakeBack(first));
        Assert.False(connection.TryTakeBack(second));
        connection.Complete(second);
        Assert.True(connection.IsPlainlyCompleted(second, out long seen));
        Assert.True(connection.TryEndPlainly(seen));

        Assert.False(connection.TryTakeBack(first));
        Assert.True(connection.IsIdle);
        Assert.True(connection.TryTakeBack(second));
        Assert.True(connection.IsLeased);
        Assert.False(connection.TryTake());
    }

    [Fact]
    public async Task One_on_its_way_from_pooled_to_idle_is_never_neither()
    {
        // Counted with two readings it was, now and then, and MinIdleConnections dialed one too many.
        TcpConnection[] connections = [.. Enumerable.Range(0, 20_000).Select(static _ => NewConnection())];
        Task publisher = Task.Run(() => Array.ForEach(connections, static connection => connection.PublishIdle()));

        foreach (TcpConnection connection in connections)
        {
            do
            {
                Assert.True(connection.IsIdleOrPooled);
            }
            while (!connection.IsIdle);
        }

        await publisher;
    }

    [Fact]
    public async Task A_completion_is_taken_back_however_many_operations_follow()
    {
        TcpConnection connection = NewConnection(new FakeTransport { Mute = true });
        connection.LendDirectly();
        connection.BeginLease();
        long version = connection.CurrentVersion;
        connection.Complete(version);

        // The word counts operations in twenty bits.
        for (int i = 0; i < (1 << 20) + 2; i++)
        {
            await connection.SendAsync(connection.HandleForHook, version, ReadOnlyMemory<byte>.Empty, CancellationToken.None);
            Assert.False(connection.IsPlainlyCompleted(version, out _));
        }
    }

    [Fact]
    public async Task A_return_loses_to_thousands_of_operations_after_its_look()
    {
        // In twelve bits their count came round, and the word looked as before.
        TcpConnection connection = NewConnection(new FakeTransport { Mute = true });
        connection.LendDirectly();
        connection.BeginLease();
        long version = connection.CurrentVersion;
        connection.Complete(version);
        Assert.True(connection.IsPlainlyCompleted(version, out long seen));
        for (int i = 0; i < 4096; i++)
        {
            await connection.SendAsync(connection.HandleForHook, version, ReadOnlyMemory<byte>.Empty, CancellationToken.None);
        }

        Assert.False(connection.TryEndPlainly(seen));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_return_loses_to_an_operation_that_began_ended_and_was_completed_after_its_look(bool send)
    {
        FakeTransport transport = new();
        TcpConnection connection = NewConnection(transport);
        connection.LendDirectly();
        connection.BeginLease();
        long version = connection.CurrentVersion;
        connection.Complete(version);
        Assert.True(connection.IsPlainlyCompleted(version, out long seen));

        if (send)
        {
            await connection.SendAsync(connection.HandleForHook, version, new byte[1], CancellationToken.None);
        }
        else
        {
            transport.Feed("x");
            await connection.ReceiveAsync(connection.HandleForHook, version, new byte[1], ReadStyle.Direct, CancellationToken.None);
        }

        connection.Complete(version);
        Assert.False(connection.TryEndPlainly(seen));
        Assert.True(connection.IsLeased);
    }

    [Fact]
    public async Task The_loss_of_a_handle_that_was_never_lent_ends_nobodys_lease()
    {
        // A second dispose that comes late beside a hook can leave one behind: the connection has its old handle again.
        await using PoolHarness pool = PoolHarness.Automatic();
        await pool.FillAsync(1);
        TcpLease lease = await pool.RentAsync();
        TcpConnection connection = pool.PeerWatch.Find(lease.ConnectionId);
        connection.OnHandleLost(new LeaseHandle(connection));

        // Behind what that would have queued.
        TaskCompletionSource passed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ThreadPool.UnsafeQueueUserWorkItem(static passed => passed.SetResult(), passed, preferLocal: false);
        await passed.Task.WaitAsync(PoolHarness.Hang);
        Assert.True(connection.IsOnLoan);
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    private static TcpConnection NewConnection(FakeTransport? transport = null) =>
        new(1, "fake", transport ?? new FakeTransport(), null!, 0, 1, new PoolClock(TimeProvider.System));
}
