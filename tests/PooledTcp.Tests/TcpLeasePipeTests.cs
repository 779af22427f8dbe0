using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>Input, Output and Stream of a lease.</summary>
public sealed class TcpLeasePipeTests
{
    [Fact]
    public async Task Bytes_left_unread_in_Input_close_examined_or_not()
    {
        foreach (bool examined in (bool[])[true, false])
        {
            await using PoolHarness pool = new();
            (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
            transport.Feed("reply and more");
            ReadResult read = await lease.Input.ReadAsync();
            SequencePosition end = read.Buffer.GetPosition(5);
            lease.Input.AdvanceTo(end, examined ? read.Buffer.End : end);
            PoolHarness.Return(lease);
            Assert.True(transport.IsClosed);
            Assert.Equal(1, pool.Now.ClosedByReason["returned_dirty"]);
        }
    }

    [Fact]
    public async Task Bytes_read_and_never_advanced_close()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        transport.Feed("reply");
        await lease.Input.ReadAsync();
        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
    }

    [Fact]
    public async Task A_consumed_Input_goes_back_to_idle()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        await lease.Output.WriteAsync("PING"u8.ToArray());
        Task<ReadResult> reading = lease.Input.ReadAsync().AsTask();
        transport.Feed("PONG");
        ReadResult read = await reading;
        Assert.Equal("PONG", Encoding.ASCII.GetString(read.Buffer));
        lease.Input.AdvanceTo(read.Buffer.GetPosition(1));
        Assert.True(lease.Input.TryRead(out read));
        Assert.Equal("ONG", Encoding.ASCII.GetString(read.Buffer));
        lease.Input.AdvanceTo(read.Buffer.End);
        Assert.False(lease.Input.TryRead(out _));
        Assert.Equal("PING", Encoding.ASCII.GetString(transport.Sent.Single()));
        PoolHarness.Return(lease);
        Assert.False(transport.IsClosed);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task Input_that_was_completed_by_the_caller_goes_back_to_idle()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        transport.Feed("x");
        ReadResult read = await lease.Input.ReadAsync();
        lease.Input.AdvanceTo(read.Buffer.End);
        await lease.Input.CompleteAsync();
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task A_cancelled_pipe_read_closes()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        Task<ReadResult> reading = lease.Input.ReadAsync().AsTask();
        lease.Input.CancelPendingRead();
        ReadResult read = await reading;
        Assert.True(read.IsCanceled);
        lease.Input.AdvanceTo(read.Buffer.End);
        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
    }

    [Fact]
    public async Task Unflushed_Output_closes_and_is_not_sent()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        lease.Output.Write("forgotten"u8);
        PoolHarness.Return(lease);
        Assert.True(transport.IsClosed);
        Assert.Empty(transport.Sent);
        Assert.Equal(1, pool.Now.ClosedByReason["returned_dirty"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Mixing_Input_with_ReceiveAsync_or_Stream_throws(bool pipeFirst)
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        transport.Feed("ab");
        if (pipeFirst)
        {
            _ = lease.Input;
            await Assert.ThrowsAsync<InvalidOperationException>(() => lease.ReceiveAsync(new byte[1]).AsTask());
            await Assert.ThrowsAsync<InvalidOperationException>(() => lease.Stream.ReadAsync(new byte[1]).AsTask());
            ReadResult read = await lease.Input.ReadAsync();
            lease.Input.AdvanceTo(read.Buffer.End);
        }
        else
        {
            Assert.Equal(1, await lease.ReceiveAsync(new byte[1]));
            Assert.Equal(1, await lease.Stream.ReadAsync(new byte[1]));
            Assert.Contains("not both", Assert.Throws<InvalidOperationException>(() => lease.Input).Message, StringComparison.Ordinal);
        }

        // The next lease of the connection chooses anew.
        PoolHarness.Return(lease);
        TcpLease next = await pool.RentAsync();
        transport.Feed("c");
        Assert.Equal(1, pipeFirst ? await next.ReceiveAsync(new byte[1]) : (await next.Input.ReadAsync()).Buffer.Length);
    }

    [Fact]
    public async Task A_pipe_read_in_flight_at_return_keeps_its_buffer()
    {
        // Given back while the receive is pending, the array would be somebody else's when the bytes arrive.
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        Task<ReadResult> reading = lease.Input.ReadAsync().AsTask();
        byte[] pending = transport.PendingArray();
        Assert.NotEmpty(pending);
        PoolHarness.Return(lease);

        Assert.True(transport.IsClosed);
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => reading);
        for (int i = 0; i < 64; i++)
        {
            Assert.NotSame(pending, ArrayPool<byte>.Shared.Rent(pending.Length));
        }
    }

    [Fact]
    public async Task Disposing_the_stream_or_completing_the_pipes_does_not_end_the_lease()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        await lease.Output.CompleteAsync();
        await lease.Stream.DisposeAsync();
        transport.Feed("x");
        Assert.Equal(1, await lease.ReceiveAsync(new byte[1]));
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task The_stream_reads_and_writes_in_every_way()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        Stream stream = lease.Stream;
        Assert.True(stream is { CanRead: true, CanWrite: true, CanSeek: false });
        byte[] buffer = new byte[4];
#pragma warning disable CA1835 // The array overloads are what is tested.
        transport.Feed("ab");
        Assert.Equal(2, stream.Read(buffer, 1, 3));
        transport.Feed("cd");
        Assert.Equal(2, await stream.ReadAsync(buffer, 0, 4, CancellationToken.None));
        Assert.Equal("cdb"u8.ToArray(), buffer[..3]);
        stream.Write(buffer, 0, 2);
        await stream.WriteAsync(buffer, 2, 1, CancellationToken.None);
#pragma warning restore CA1835
        stream.Flush();
        await stream.FlushAsync();
        Assert.Equal(["cd"u8.ToArray(), "b"u8.ToArray()], transport.Sent);
        Assert.Equal(3, lease.BytesSent);
        Assert.Throws<NotSupportedException>(() => stream.Length);
        Assert.Throws<NotSupportedException>(() => stream.Position);
        Assert.Throws<NotSupportedException>(() => stream.Position = 1);
        Assert.Throws<NotSupportedException>(() => stream.Seek(0, SeekOrigin.Begin));
        Assert.Throws<NotSupportedException>(() => stream.SetLength(1));
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1);
    }

    [Fact]
    public async Task A_pipe_read_cancelled_before_it_started_harms_nothing()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, _) = await pool.DialAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => lease.Input.ReadAsync(new CancellationToken(canceled: true)).AsTask().WaitAsync(PoolHarness.Hang));
        PoolHarness.Return(lease);
        pool.AssertCounts(idle: 1, used: 0);
    }
}
