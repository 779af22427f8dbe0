using System.Net.Sockets;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>The lease contract: what makes a returned connection clean or dirty, and the ways a lease ends.</summary>
public sealed class TcpLeaseTests
{
    private static readonly byte[] Bytes = "0123456789"u8.ToArray();

    [Fact]
    public async Task Completed_and_clean_goes_back_to_idle()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        await lease.SendAsync(Bytes);
        transport.Feed("reply");
        byte[] buffer = new byte[16];
        Assert.Equal(5, await lease.ReceiveAsync(buffer));
        Assert.Equal("reply"u8.ToArray(), buffer[..5]);
        Assert.Equal(10, lease.BytesSent);
        Assert.Equal(5, lease.BytesReceived);
        PoolHarness.Return(lease);
        Assert.False(transport.IsClosed);
        pool.AssertCounts(idle: 1, used: 0);
    }

    [Fact]
    public async Task Not_completed_is_closed()
    {
        await AssertClosesAsync("abandoned", static (_, _) => Task.CompletedTask, complete: false);
    }

    [Fact]
    public async Task Discard_closes_completed_or_not()
    {
        await AssertClosesAsync("abandoned", static (lease, _) =>
        {
            lease.Complete();
            lease.Discard();
            return Task.CompletedTask;
        }, complete: false);
    }

    [Fact]
    public async Task A_faulted_operation_closes()
    {
        await AssertClosesAsync("faulted", static async (lease, transport) =>
        {
            transport.Fault = new SocketException((int)SocketError.ConnectionReset);
            ConnectionFaultedException e = await Assert.ThrowsAsync<ConnectionFaultedException>(() => lease.ReceiveAsync(new byte[1]).AsTask());
            Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
            Assert.Equal(lease.ConnectionId, e.ConnectionId);
            Assert.Equal("fake", e.PoolName);
            Assert.Contains("failed while receiving", e.Message, StringComparison.Ordinal);
        });
        await AssertClosesAsync("faulted", static async (lease, transport) =>
        {
            transport.Fault = new SocketException((int)SocketError.ConnectionReset);
            ConnectionFaultedException e = await Assert.ThrowsAsync<ConnectionFaultedException>(() => lease.SendAsync(Bytes).AsTask());
            Assert.Contains("failed while sending", e.Message, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task A_faulted_operation_closes_when_not_completed_and_the_reason_says_so()
    {
        await AssertClosesAsync("faulted", static async (lease, transport) =>
        {
            transport.Fault = new IOException("tls");
            await Assert.ThrowsAsync<ConnectionFaultedException>(() => lease.ReceiveAsync(new byte[1]).AsTask());
        }, complete: false);
    }

    [Fact]
    public async Task An_operation_cancelled_half_way_closes()
    {
        await AssertClosesAsync("faulted", static async (lease, _) =>
        {
            using CancellationTokenSource cancel = new();
            Task<int> receive = lease.ReceiveAsync(new byte[1], cancel.Token).AsTask();
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => receive);
        });
        await AssertClosesAsync("faulted", static async (lease, transport) =>
        {
            using CancellationTokenSource cancel = new();
            transport.HoldSends = true;
            Task send = lease.SendAsync(Bytes, cancel.Token).AsTask();
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => send);
        });
    }

    [Fact]
    public async Task An_operation_cancelled_before_it_started_harms_nothing()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, _) = await pool.DialAsync();
        CancellationToken fired = new(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => lease.ReceiveAsync(new byte[1], fired).AsTask());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => lease.SendAsync(Bytes, fired).AsTask());
        Assert.Equal(0, lease.BytesSent);
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task The_end_of_the_stream_closes_as_peer_closed()
    {
        await AssertClosesAsync("peer_closed", ReadToEndAsync);
        await AssertClosesAsync("peer_closed", ReadToEndAsync, complete: false);

        static async Task ReadToEndAsync(TcpLease lease, FakeTransport transport)
        {
            Assert.False(lease.PeerClosed);
            transport.EndOfStream();
            Assert.Equal(0, await lease.ReceiveAsync(new byte[1]));
            Assert.True(lease.PeerClosed);
        }
    }

    [Fact]
    public async Task A_zero_byte_receive_is_not_the_end_of_the_stream()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        transport.Feed();
        Assert.Equal(0, await lease.ReceiveAsync(Memory<byte>.Empty));
        Assert.False(lease.PeerClosed);
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task PeerClosed_asks_the_transport()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        transport.PeerHasClosed = true;
        Assert.True(lease.PeerClosed);
    }

    [Fact]
    public async Task Complete_after_a_send_without_a_receive_is_dirty()
    {
        await AssertClosesAsync("returned_dirty", static async (lease, _) => await lease.SendAsync(Bytes));
    }

    [Fact]
    public async Task Unless_the_endpoint_sets_AllowOneWay()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(oneWay: true));
        (TcpLease lease, _) = await pool.DialAsync();
        await lease.SendAsync(Bytes);
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task The_record_is_the_leases_own()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        transport.Feed("x");
        await lease.ReceiveAsync(new byte[1]);
        PoolHarness.Return(lease);

        // The reply that the last lease received does not answer this one's send.
        TcpLease next = await pool.RentAsync();
        Assert.Equal(0, next.BytesReceived);
        await next.SendAsync(Bytes);
        PoolHarness.Return(next);
        Assert.True(transport.IsClosed);
    }

    [Fact]
    public async Task A_return_with_an_operation_in_flight_discards()
    {
        Task? left = null;
        await AssertClosesAsync("returned_dirty", (lease, _) =>
        {
            left = lease.ReceiveAsync(new byte[1]).AsTask();
            return Task.CompletedTask;
        });
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => left!);
        await AssertClosesAsync("returned_dirty", (lease, transport) =>
        {
            transport.HoldSends = true;
            left = lease.SendAsync(Bytes).AsTask();
            return Task.CompletedTask;
        });
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => left!);
    }

    [Fact]
    public async Task IO_after_Complete_withdraws_it()
    {
        await AssertClosesAsync("abandoned", static async (lease, transport) =>
        {
            lease.Complete();
            transport.Feed("x");
            await lease.ReceiveAsync(new byte[1]);
        }, complete: false);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Complete_during_an_operation_does_not_survive_it(bool sending)
    {
        // When it was said, nobody knew what the operation would bring.
        await AssertClosesAsync("abandoned", async (lease, transport) =>
        {
            transport.Feed("reply");
            await lease.SendAsync(new byte[1]);
            await lease.ReceiveAsync(new byte[8]);
            transport.HoldSends = sending;
            Task operation = sending ? lease.SendAsync(new byte[1]).AsTask() : lease.ReceiveAsync(new byte[8]).AsTask();
            lease.Complete();
            if (sending)
            {
                transport.CompleteSend();
            }
            else
            {
                transport.Feed("more");
            }

            await operation.WaitAsync(PoolHarness.Hang);
        }, complete: false);
    }

    [Fact]
    public async Task Complete_may_be_called_again()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        lease.Complete();
        lease.Complete();
        transport.Feed("x");
        await lease.ReceiveAsync(new byte[1]);
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task One_receive_and_one_send_may_run_at_a_time()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        transport.HoldSends = true;
        Task<int> receive = lease.ReceiveAsync(new byte[8]).AsTask();
        Task send = lease.SendAsync(Bytes).AsTask();
        Assert.Contains("receive is already", (await Assert.ThrowsAsync<InvalidOperationException>(() => lease.ReceiveAsync(new byte[1]).AsTask())).Message, StringComparison.Ordinal);
        Assert.Contains("send is already", (await Assert.ThrowsAsync<InvalidOperationException>(() => lease.SendAsync(Bytes).AsTask())).Message, StringComparison.Ordinal);
        transport.CompleteSend();
        await send;
        transport.Feed("ok");
        Assert.Equal(2, await receive);
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public void Default_throws_for_every_member_and_disposing_it_does_nothing()
    {
        TcpLease none = default;
        none.Dispose();
        Assert.True(none.DisposeAsync().IsCompletedSuccessfully);
        foreach (Action<TcpLease> member in LeaseMembers.All)
        {
            Assert.Contains("default(TcpLease)", Assert.Throws<InvalidOperationException>(() => member(none)).Message, StringComparison.Ordinal);
        }

        Assert.Throws<InvalidOperationException>(none.Discard);
    }

    [Fact]
    public async Task Copies_of_one_lease_are_equal_and_leases_of_one_connection_are_not()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, _) = await pool.DialAsync();
        TcpLease copy = lease;
        Assert.True(copy == lease && copy.Equals((object)lease) && copy.GetHashCode() == lease.GetHashCode());
        PoolHarness.Return(lease);
        TcpLease next = await pool.RentAsync();
        Assert.True(next != lease && !next.Equals((object)lease) && !next.Equals("lease"));
    }

    [Fact]
    public async Task A_lease_tells_about_its_connection()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        Assert.False(lease.IsReused);
        Assert.Equal(transport.LocalEndPoint, lease.LocalEndPoint);
        Assert.Equal(transport.RemoteEndPoint, lease.RemoteEndPoint);
        pool.Time.Advance(TimeSpan.FromSeconds(7));
        Assert.Equal(TimeSpan.FromSeconds(7), lease.Age);
        Assert.Equal(TimeSpan.Zero, lease.IdleFor);
        PoolHarness.Return(lease);
        pool.Time.Advance(TimeSpan.FromSeconds(3));
        pool.Maintain();
        TcpLease next = await pool.RentAsync();
        Assert.True(next.IsReused);
        Assert.Equal(TimeSpan.FromSeconds(3), next.IdleFor);
        Assert.Equal(TimeSpan.FromSeconds(10), next.Age);
    }

    [Fact]
    public async Task DisposeAsync_never_throws_and_a_second_dispose_does_nothing()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        lease.Complete();
        await lease.DisposeAsync();
        await lease.DisposeAsync();
        lease.Dispose();
        lease.Discard();
        Assert.False(transport.IsClosed);
        pool.AssertCounts(idle: 1, used: 0);
    }

    private static async Task AssertClosesAsync(string reason, Func<TcpLease, FakeTransport, Task> use, bool complete = true)
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        await use(lease, transport);
        if (complete)
        {
            lease.Complete();
        }

        await lease.DisposeAsync();
        Assert.True(transport.IsClosed);
        Assert.Equal(reason, Assert.Single(pool.Now.ClosedByReason).Key);
        pool.AssertCounts(idle: 0, used: 0);
    }
}

/// <summary>Every member of a lease that must refuse a lease that is over, or none.</summary>
internal static class LeaseMembers
{
    public static readonly IReadOnlyList<Action<TcpLease>> All =
    [
        static l => _ = l.ConnectionId,
        static l => _ = l.IsReused,
        static l => _ = l.Age,
        static l => _ = l.IdleFor,
        static l => _ = l.BytesSent,
        static l => _ = l.BytesReceived,
        static l => _ = l.PeerClosed,
        static l => _ = l.LocalEndPoint,
        static l => _ = l.RemoteEndPoint,
        static l => _ = l.Session,
        static l => _ = l.Stream,
        static l => _ = l.Input,
        static l => _ = l.Output,
        static l => _ = l.SafeToRetry(true),
        static l => l.Complete(),
        static l => _ = l.ReceiveAsync(new byte[1]),
        static l => _ = l.SendAsync(new byte[1]),
        static l => _ = l.ReceiveAsync(new byte[1], new CancellationToken(canceled: true)),
        static l => _ = l.SendAsync(new byte[1], new CancellationToken(canceled: true)),
    ];
}
