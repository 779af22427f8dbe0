using PooledTcp.Connections;
using PooledTcp.Pooling;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Which idle connection a rent gets.</summary>
public sealed class IdleOrderTests
{
    [Fact]
    public async Task Idle_is_LIFO_in_the_stack()
    {
        await using PoolHarness pool = PoolHarness.Automatic();

        long[] ids = await pool.FillAsync(4);

        Assert.Equal(ids[3], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(ids[2], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(ids[1], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(ids[0], (await pool.RentAsync()).ConnectionId);
    }

    [Fact]
    public async Task A_rent_finds_the_connection_of_its_own_slot_before_the_stack()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long[] ids = await pool.FillAsync(3);

        // The first rent settles the warmest in the one slot there is; the second gets the next of the stack.
        TcpLease settled = await pool.RentAsync();
        TcpLease second = await pool.RentAsync();
        PoolHarness.Return(settled);
        PoolHarness.Return(second);

        Assert.Equal(ids[2], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(ids[1], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(ids[0], (await pool.RentAsync()).ConnectionId);
    }

    [Fact]
    public async Task A_rent_tries_its_own_slot_then_the_stack_then_the_other_slots_and_only_then_dials()
    {
        // With one slot per processor and one thread at a time, every connection is found whatever processor rents.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 8), idleSlots: 64);
        await pool.FillAsync(8);

        for (int round = 0; round < 100; round++)
        {
            TcpLease[] leases = new TcpLease[8];
            for (int i = 0; i < leases.Length; i++)
            {
                Assert.True(pool.Pool.TryRent(out leases[i]), "An idle connection was not found.");
            }

            Assert.False(pool.Pool.TryRent(out _));
            foreach (TcpLease lease in leases)
            {
                await Task.Yield();
                PoolHarness.Return(lease);
            }
        }

        Assert.Equal(8, pool.Connector.Dials);
    }

    [Fact]
    public void Compact_drops_dead_links_and_keeps_the_order()
    {
        ConnectionTable table = new();
        IdleStack stack = new(table);
        TcpConnection[] connections = [.. Enumerable.Range(0, 5).Select(_ => NewIdle(table))];
        Array.ForEach(connections, stack.Push);
        Assert.True(connections[1].TryEvict());
        Assert.True(connections[4].TryEvict());

        stack.Compact();

        Assert.False(connections[1].Linked);
        Assert.False(connections[4].Linked);
        Assert.Same(connections[3], stack.Pop());
        Assert.Same(connections[2], stack.Pop());
        Assert.Same(connections[0], stack.Pop());
        Assert.Null(stack.Pop());
    }

    [Fact]
    public async Task The_stack_never_hands_one_connection_to_two_threads()
    {
        // ABA: without the tag in the head this loses or doubles connections within a few thousand rounds.
        ConnectionTable table = new();
        IdleStack stack = new(table);
        TcpConnection[] connections = [.. Enumerable.Range(0, 4).Select(_ => NewIdle(table))];
        Array.ForEach(connections, stack.Push);
        int[] holders = new int[4];

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < 20_000; i++)
            {
                if (stack.Pop() is { } connection)
                {
                    Assert.Equal(1, Interlocked.Increment(ref holders[connection.TableIndex]));
                    Interlocked.Decrement(ref holders[connection.TableIndex]);
                    stack.Push(connection);
                }
            }
        }))).WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);

        HashSet<TcpConnection> left = [];
        while (stack.Pop() is { } connection)
        {
            Assert.True(left.Add(connection));
        }

        Assert.Equal(4, left.Count);
    }

    [Fact]
    public void A_connection_between_stack_and_slot_is_not_evicted()
    {
        // Idle, but a push is on its way: evicting it now would give its number away while the push links it.
        ConnectionTable table = new();
        TcpConnection connection = NewIdle(table);
        Assert.False(connection.TryEvict());

        new IdleStack(table).Push(connection);
        Assert.True(connection.TryEvict());
        Assert.False(connection.TryEvict());
    }

    [Fact]
    public void A_number_is_given_again_only_after_the_connection_left_the_table()
    {
        ConnectionTable table = new();
        TcpConnection[] connections = [.. Enumerable.Range(0, 20).Select(_ => NewIdle(table))];
        Assert.Equal(20, table.Count);
        Assert.All(connections, c => Assert.Same(c, table.At(c.TableIndex)));

        int number = connections[7].TableIndex;
        table.Remove(connections[7]);
        Assert.Null(table.At(number));
        Assert.Equal(number, NewIdle(table).TableIndex);
        Assert.Equal(20, table.Count);
    }

    [Fact]
    public async Task A_closed_connection_leaves_its_slot_to_the_next()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        long[] ids = await pool.FillAsync(1);
        PoolHarness.Return(await pool.RentAsync());
        pool.Pool.Clear();
        long[] later = await pool.FillAsync(2);

        Assert.DoesNotContain(ids[0], later);
        TcpLease settled = await pool.RentAsync();
        TcpLease other = await pool.RentAsync();
        PoolHarness.Return(settled);
        PoolHarness.Return(other);
        Assert.Equal(later[1], (await pool.RentAsync()).ConnectionId);
        Assert.Equal(later[0], (await pool.RentAsync()).ConnectionId);
    }

    [Fact]
    public async Task The_pool_knows_when_one_connection_is_all_it_has()
    {
        await using PoolHarness pool = PoolHarness.Automatic();
        Assert.Null(Only());
        TcpLease first = await pool.RentAsync();
        Assert.Equal(first.ConnectionId, Only()?.Id);
        TcpLease second = await pool.RentAsync();
        Assert.Null(Only());
        first.Dispose();
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(second.ConnectionId, Only()?.Id);
        second.Dispose();
        Assert.Null(Only());

        TcpConnection? Only() => pool.Core.Warm.Idle.Only;
    }

    [Fact]
    public async Task Dead_links_are_swept_and_their_numbers_given_back()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 4));
        for (int round = 0; round < 20; round++)
        {
            await pool.FillAsync(4);
            pool.Pool.Clear();
            pool.Pass(TimeSpan.FromSeconds(5));
            pool.AssertCounts(idle: 0, used: 0);
        }

        // Nothing is left to look after: the table is empty again.
        Assert.Null(pool.Maintain());
    }

    private static TcpConnection NewIdle(ConnectionTable table)
    {
        PoolClock clock = new(TimeProvider.System);
        TcpConnection connection = new(PoolServices.NextConnectionId(), "fake", new FakeTransport(), null!, 0, 1, clock);
        table.Add(connection);
        connection.PublishIdle();
        return connection;
    }
}
