using System.Net.Sockets;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>hyper 2136: the check at rent cannot win the race with the peer's close, so the caller needs a verdict.</summary>
public sealed class SafeToRetryTests
{
    [Theory]
    [InlineData(false, false, false, false, false)] // fresh: the endpoint itself is in trouble
    [InlineData(false, false, false, true, false)]
    [InlineData(true, false, false, false, true)] // reused, and no send was ever started
    [InlineData(true, false, false, true, true)]
    [InlineData(true, true, false, false, false)] // a send was started
    [InlineData(true, true, false, true, true)] // idempotent, and nothing came back
    [InlineData(true, true, true, false, false)]
    [InlineData(true, true, true, true, false)] // a reply byte arrived
    [InlineData(true, false, true, false, true)]
    public async Task The_verdict(bool reused, bool sent, bool received, bool idempotent, bool expected)
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        if (reused)
        {
            PoolHarness.Return(lease);
            lease = await pool.RentAsync();
        }

        if (sent)
        {
            await lease.SendAsync(new byte[3]);
        }

        if (received)
        {
            transport.Feed("x");
            await lease.ReceiveAsync(new byte[1]);
        }

        Assert.Equal(expected, lease.SafeToRetry(idempotent));

        // The exception of the operation that fails next carries the same verdict past the disposal.
        transport.Fault = new SocketException((int)SocketError.ConnectionReset);
        ConnectionFaultedException e = await Assert.ThrowsAsync<ConnectionFaultedException>(() => lease.ReceiveAsync(new byte[1]).AsTask());
        lease.Dispose();
        Assert.Equal(expected, e.SafeToRetry(idempotent));
        Assert.Equal(reused, e.IsReused);
        Assert.Throws<ObjectDisposedException>(() => lease.SafeToRetry(idempotent));
    }

    [Fact]
    public async Task A_send_that_was_started_counts_even_if_it_was_cancelled()
    {
        // A cancelled first send reported 0 bytes; the peer had received 3.9 MB.
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        lease = await pool.RentAsync();
        transport.HoldSends = true;
        using CancellationTokenSource cancel = new();
        Task send = lease.SendAsync(new byte[3], cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => send);
        Assert.Equal(0, lease.BytesSent);
        Assert.False(lease.SafeToRetry(idempotent: false));
        Assert.True(lease.SafeToRetry(idempotent: true));
        lease.Dispose();
    }

    [Fact]
    public async Task A_send_that_fails_at_once_counts_as_started()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        lease = await pool.RentAsync();
        transport.Fault = new IOException("broken pipe", new SocketException((int)SocketError.Shutdown));
        ConnectionFaultedException e = await Assert.ThrowsAsync<ConnectionFaultedException>(() => lease.SendAsync(new byte[3]).AsTask());
        Assert.False(e.SafeToRetry(idempotent: false));
        Assert.True(e.SafeToRetry(idempotent: true));
        Assert.Equal(SocketError.Shutdown, e.SocketErrorCode);
        lease.Dispose();
    }

    [Fact]
    public async Task A_defect_of_the_caller_is_not_dressed_up_as_a_network_fault()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        transport.Fault = new ArgumentException("not a network fault");
        await Assert.ThrowsAsync<ArgumentException>(() => lease.SendAsync(new byte[3]).AsTask());
        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
    }
}
