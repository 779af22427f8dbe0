using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>A lease that is over stays over, whatever its copies do and however they race.</summary>
public sealed class TcpLeaseStaleTests
{
    [Fact]
    public async Task A_stale_copy_throws_for_every_member()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, _) = await pool.DialAsync();
        TcpLease copy = lease;
        PoolHarness.Return(lease);
        Assert.All(LeaseMembers.All, member => Assert.Throws<ObjectDisposedException>(() => member(copy)));

        // The same connection, lent again: the copy still is of the first lease.
        TcpLease next = await pool.RentAsync();
        await Task.Run(() => Assert.All(LeaseMembers.All, member => Assert.Throws<ObjectDisposedException>(() => member(copy))));
        Assert.Equal(0, next.BytesReceived);
        PoolHarness.Return(next);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task A_stale_copy_of_a_closed_connections_lease_throws_too()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, _) = await pool.DialAsync();
        lease.Dispose();
        Assert.All(LeaseMembers.All, member => Assert.Throws<ObjectDisposedException>(() => member(lease)));
    }

    [Fact]
    public async Task A_stale_copy_cannot_end_the_next_lease()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        TcpLease next = await pool.RentAsync();
        lease.Dispose();
        lease.Discard();
        await lease.DisposeAsync();
        Assert.False(transport.IsClosed);
        pool.AssertCounts(used: 1);
        PoolHarness.Return(next);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task A_stream_or_pipe_of_an_ended_lease_reaches_no_bytes()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        Stream stream = lease.Stream;
        System.IO.Pipelines.PipeReader input = lease.Input;
        System.IO.Pipelines.PipeWriter output = lease.Output;
        PoolHarness.Return(lease);
        await pool.RentAsync();
        transport.Feed("the next caller's");

        await Assert.ThrowsAsync<ObjectDisposedException>(() => stream.ReadAsync(new byte[1]).AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => stream.WriteAsync(new byte[1]).AsTask());
        Assert.Throws<ObjectDisposedException>(stream.Flush);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => stream.FlushAsync());
        await Assert.ThrowsAnyAsync<InvalidOperationException>(async () => await input.ReadAsync());
        Assert.ThrowsAny<InvalidOperationException>(() => input.TryRead(out _));
        Assert.ThrowsAny<InvalidOperationException>(() => output.GetMemory());
        Assert.Empty(transport.Sent);
    }

    [Fact]
    public async Task Stream_and_pipes_are_made_per_lease_and_never_reused()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, _) = await pool.DialAsync();
        (Stream stream, object input, object output) = (lease.Stream, lease.Input, lease.Output);
        Assert.Same(stream, lease.Stream);
        Assert.Same(input, lease.Input);
        Assert.Same(output, lease.Output);
        PoolHarness.Return(lease);
        TcpLease next = await pool.RentAsync();
        Assert.NotSame(stream, next.Stream);
        Assert.NotSame(input, next.Input);
        Assert.NotSame(output, next.Output);
    }

    [Fact]
    public async Task Double_dispose_from_many_threads_against_re_rents_returns_once()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1), idleSlots: 2);
        TcpLease current = await pool.RentAsync();
        for (int round = 0; round < 800; round++)
        {
            TcpLease ending = current;
            ending.Complete();
            Task<TcpLease> next = Task.Run(() => pool.RentAsync());
            await Task.WhenAll(Task.Run(ending.Dispose), Task.Run(ending.Dispose), Task.Run(ending.Discard)).WaitAsync(PoolHarness.Hang);
            current = await next;
            Assert.NotEqual(0, current.ConnectionId);
            Assert.Throws<ObjectDisposedException>(ending.Complete);
        }

        current.Dispose();
        await pool.UntilAsync(static now => now is { Used: 0, Closing: 0 });
        TcpPoolSnapshot now = pool.Now;
        Assert.Equal(now.Created, now.Closed + now.Idle);
    }

    [Fact]
    public async Task A_stale_copy_that_reads_however_it_races_gets_no_byte_of_the_next_lease()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1), idleSlots: 2);
        pool.Connector.Automatic = static _ => new FakeTransport { Mute = true };
        TcpLease stale = default;
        long stolen = 0;
        long version = 0;
        using CancellationTokenSource stop = new();
        Lock gate = new();
        Task thief = Task.Run(() =>
        {
            byte[] buffer = new byte[1];
            while (!stop.IsCancellationRequested)
            {
                TcpLease mine;
                lock (gate)
                {
                    mine = stale;
                }

                if (mine == default)
                {
                    continue;
                }

                try
                {
                    _ = mine.ReceiveAsync(buffer).AsTask().IsCompleted;
                    Interlocked.Increment(ref stolen);
                }
                catch (ObjectDisposedException)
                {
                }

                try
                {
                    _ = mine.Input;
                }
                catch (ObjectDisposedException)
                {
                }
            }
        });

        for (int round = 0; round < 10_000; round++)
        {
            TcpLease lease = await pool.RentAsync();

            // Whatever the copy of the last lease does, this one reads as it likes: its style is its own.
            if (round % 2 == 0)
            {
                Assert.Equal(1, await lease.ReceiveAsync(new byte[1]));
            }
            else
            {
                System.IO.Pipelines.ReadResult read = await lease.Input.ReadAsync();
                lease.Input.AdvanceTo(read.Buffer.End);
            }

            Assert.Equal(1, lease.BytesReceived);
            PoolHarness.Return(lease);
            version++;
            lock (gate)
            {
                stale = lease;
            }
        }

        await stop.CancelAsync();
        await thief.WaitAsync(PoolHarness.Hang);
        Assert.Equal(10_000, version);
        Assert.Equal(0, stolen);
        Assert.Equal(1, pool.Connector.Dials);
    }

    [Fact]
    public async Task An_operation_that_races_with_the_return_either_throws_or_discards()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1), idleSlots: 2);
        for (int round = 0; round < 1000; round++)
        {
            TcpLease lease = await pool.RentAsync();
            long id = lease.ConnectionId;
            lease.Complete();
            using Barrier barrier = new(2);
            Task<bool> operation = Task.Run(async () =>
            {
                barrier.SignalAndWait(PoolHarness.Hang);
                try
                {
                    // Never completes by itself: it ends when the connection is closed.
                    await lease.ReceiveAsync(new byte[1]);
                    return true;
                }
                catch (ObjectDisposedException)
                {
                    return false;
                }
                catch (ConnectionFaultedException)
                {
                    return true;
                }
            });
            barrier.SignalAndWait(PoolHarness.Hang);
            lease.Dispose();
            bool started = await operation.WaitAsync(PoolHarness.Hang);
            TcpLease next = await pool.RentAsync();
            Assert.Equal(started, next.ConnectionId != id);
            PoolHarness.Return(next);
        }
    }

    [Fact]
    public void The_word_of_a_stale_lease_is_not_held_in_any_phase()
    {
        TcpConnection connection = new(1, "fake", new FakeTransport(), null!, 0, 1, new PoolClock(TimeProvider.System));
        connection.LendDirectly();
        connection.BeginLease();
        long version = connection.CurrentVersion;
        connection.Complete(version);
        Assert.True(connection.IsPlainlyCompleted(version, out long seen));
        Assert.True(connection.TryEndPlainly(seen));
        Assert.False(connection.TryEndPlainly(seen));
        Assert.False(connection.TryEndAny(version, out _));
        Assert.True(connection.TryTake());
        Assert.False(connection.TryTake());
        Assert.False(connection.TryEndAny(version, out _));
        connection.TakeBack();
        Assert.False(connection.IsIdle || connection.IsLeased || connection.IsClosed);
        connection.MarkClosed();
        Assert.True(connection.IsClosed);
        Assert.Throws<ObjectDisposedException>(() => connection.ThrowIfStale(version));
    }
}
