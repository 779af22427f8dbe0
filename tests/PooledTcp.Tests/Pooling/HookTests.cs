using System.Buffers;
using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>The handshake on a new connection and the reset before it goes idle.</summary>
public sealed class HookTests
{
    [Fact]
    public async Task What_the_handshake_returns_is_every_leases_Session()
    {
        object session = new();
        await using PoolHarness pool = new(hooks: new() { Handshake = (_, _) => ValueTask.FromResult<object?>(session) });
        (TcpLease lease, _) = await pool.DialAsync();
        Assert.Same(session, lease.Session);
        Assert.False(lease.IsReused);
        PoolHarness.Return(lease);
        TcpLease again = await pool.RentAsync();
        Assert.Same(session, again.Session);
        Assert.True(again.IsReused);
    }

    [Fact]
    public async Task Without_a_handshake_there_is_no_Session()
    {
        await using PoolHarness pool = new();
        (TcpLease lease, _) = await pool.DialAsync();
        Assert.Null(lease.Session);
    }

    [Fact]
    public async Task The_handshake_talks_and_its_bytes_are_not_the_callers()
    {
        await using PoolHarness pool = new(hooks: new()
        {
            Handshake = async (lease, token) =>
            {
                await lease.SendAsync("AUTH"u8.ToArray(), token);
                ReadResult(await lease.Input.ReadAsync(token), lease);
                lease.Complete();
                return null;
            },
        });
        Task<TcpLease> rent = pool.RentAsync();
        FakeTransport transport = new();
        transport.Feed("+OK");
        (await pool.Connector.NextAsync()).Open(transport);
        TcpLease lease = await rent;
        Assert.Equal("AUTH"u8.ToArray(), transport.Sent.Single());
        Assert.Equal(0, lease.BytesSent);
        Assert.Equal(0, lease.BytesReceived);
        Assert.False(lease.IsReused);

        // The read style of the hook is not the caller's either.
        transport.Feed("x");
        Assert.Equal(1, await lease.ReceiveAsync(new byte[1]));

        static void ReadResult(System.IO.Pipelines.ReadResult result, TcpLease lease) => lease.Input.AdvanceTo(result.Buffer.End);
    }

    [Fact]
    public async Task A_handshake_that_throws_fails_the_dial()
    {
        await using PoolHarness pool = new(hooks: new() { Handshake = (_, _) => throw new InvalidDataException("wrong password") });
        Task<TcpLease> rent = pool.RentAsync();
        FakeTransport transport = (await pool.Connector.NextAsync()).Open();
        EndpointUnavailableException e = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.IsType<InvalidDataException>(e.InnerException);
        Assert.True(transport.IsClosed);
        pool.AssertCounts(connecting: 0);
    }

    [Fact]
    public async Task The_handshake_runs_inside_the_connect_budget()
    {
        await using PoolHarness pool = new(hooks: new()
        {
            Handshake = async (lease, token) => await lease.ReceiveAsync(new byte[1], token),
        });
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(2));
        FakeTransport transport = dial.Open();
        await PoolHarness.UntilAsync(() => transport.PendingBuffer.Length > 0);
        pool.Time.Advance(TimeSpan.FromSeconds(1));

        EndpointUnavailableException e = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.Contains("ConnectTimeout (3 s) passed while in the handshake", e.Message, StringComparison.Ordinal);
        Assert.True(transport.IsClosed);
    }

    [Fact]
    public async Task A_handshake_that_ignores_its_token_does_not_keep_the_permit()
    {
        // runtime 110598: stalled handshakes kept the slots.
        TaskCompletionSource<TcpLease> stalled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<object?> never = new();
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1, connecting: 1), new()
        {
            Handshake = (lease, _) =>
            {
                stalled.TrySetResult(lease);
                return new ValueTask<object?>(never.Task);
            },
        });
        Task<TcpLease> rent = pool.RentAsync();
        FakeTransport transport = (await pool.Connector.NextAsync()).Open();
        TcpLease kept = await stalled.Task.WaitAsync(PoolHarness.Hang);
        pool.Time.Advance(TimeSpan.FromSeconds(3));

        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.True(transport.IsClosed);
        pool.AssertCounts(connecting: 0);
        Assert.Throws<ObjectDisposedException>(() => kept.ConnectionId);
        never.SetException(new IOException("much later"));
    }

    [Theory]
    [InlineData("dispose")]
    [InlineData("discard")]
    [InlineData("complete and dispose")]
    public async Task A_handshake_that_ends_its_lease_fails_the_dial(string how)
    {
        await using PoolHarness pool = new(hooks: new()
        {
            Handshake = (lease, _) =>
            {
                if (how == "discard")
                {
                    lease.Discard();
                }
                else
                {
                    if (how != "dispose")
                    {
                        lease.Complete();
                    }

                    lease.Dispose();
                    lease.Dispose();
                }

                return ValueTask.FromResult<object?>(null);
            },
        });
        Task<TcpLease> rent = pool.RentAsync();
        FakeTransport transport = (await pool.Connector.NextAsync()).Open();
        EndpointUnavailableException e = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.Contains("the lease belongs to the pool", e.Message, StringComparison.Ordinal);
        Assert.True(transport.IsClosed);
    }

    [Fact]
    public async Task A_handshake_that_leaves_an_operation_in_flight_fails_the_dial()
    {
        Task<int>? left = null;
        await using PoolHarness pool = new(hooks: new()
        {
            Handshake = (lease, _) =>
            {
                left = lease.ReceiveAsync(new byte[1], CancellationToken.None).AsTask();
                return ValueTask.FromResult<object?>(null);
            },
        });
        Task<TcpLease> rent = pool.RentAsync();
        (await pool.Connector.NextAsync()).Open();
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => left!);
    }

    [Fact]
    public async Task A_handshake_that_leaves_unread_bytes_fails_the_dial()
    {
        await using PoolHarness pool = new(hooks: new()
        {
            Handshake = async (lease, token) =>
            {
                System.IO.Pipelines.ReadResult read = await lease.Input.ReadAsync(token);
                lease.Input.AdvanceTo(read.Buffer.GetPosition(1), read.Buffer.End);
                return null;
            },
        });
        Task<TcpLease> rent = pool.RentAsync();
        FakeTransport transport = new();
        transport.Feed("+OK and more");
        (await pool.Connector.NextAsync()).Open(transport);
        EndpointUnavailableException e = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.Contains("unfit for a caller (ReturnedDirty)", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_reset_runs_before_the_connection_goes_idle()
    {
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource finish = new();
        await using PoolHarness pool = new(hooks: new()
        {
            Reset = async (lease, token) =>
            {
                await lease.SendAsync("RESET"u8.ToArray(), token);
                running.SetResult();
                await finish.Task;
            },
        });
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        await running.Task.WaitAsync(PoolHarness.Hang);
        pool.AssertCounts(idle: 0, used: 1);
        Assert.False(pool.Pool.TryRent(out _));

        finish.SetResult();
        await pool.UntilAsync(static now => now.Idle == 1);
        Assert.Equal("RESET"u8.ToArray(), transport.Sent.Single());
        TcpLease next = await pool.RentAsync();
        Assert.Equal(0, next.BytesSent);
        Assert.Throws<ObjectDisposedException>(() => lease.ConnectionId);
    }

    [Fact]
    public async Task The_reset_runs_before_a_hand_off_too()
    {
        int resets = 0;
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1), new()
        {
            Reset = (_, _) =>
            {
                Interlocked.Increment(ref resets);
                return default;
            },
        });
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        PoolHarness.Return(lease);
        TcpLease handed = await waiting;
        Assert.True(handed.IsReused);
        Assert.Equal(1, resets);
    }

    [Fact]
    public async Task A_reset_that_fails_closes_the_connection()
    {
        await using PoolHarness pool = new(hooks: new() { Reset = (_, _) => throw new IOException("no") });
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        await transport.Closed.WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["health_check_failed"]);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task A_reset_has_ConnectTimeout_to_finish()
    {
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource never = new();
        await using PoolHarness pool = new(hooks: new()
        {
            Reset = (_, _) =>
            {
                running.SetResult();
                return new ValueTask(never.Task);
            },
        });
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        await running.Task.WaitAsync(PoolHarness.Hang);
        pool.Time.Advance(TimeSpan.FromSeconds(3));
        await transport.Closed.WaitAsync(PoolHarness.Hang);
        await pool.UntilAsync(static now => now.Closed == 1);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task A_faulty_lease_is_not_reset()
    {
        bool ran = false;
        await using PoolHarness pool = new(hooks: new()
        {
            Reset = (_, _) =>
            {
                ran = true;
                return default;
            },
        });
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        lease.Dispose();
        Assert.True(transport.IsClosed);
        Assert.False(ran);
    }

    [Fact]
    public async Task Clear_with_interruption_during_a_reset_counts_as_a_clear()
    {
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using PoolHarness pool = new(hooks: new()
        {
            Reset = async (lease, token) =>
            {
                running.SetResult();
                await lease.ReceiveAsync(new byte[1], token);
            },
        });
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        PoolHarness.Return(lease);
        await running.Task.WaitAsync(PoolHarness.Hang);
        await PoolHarness.UntilAsync(() => transport.PendingBuffer.Length > 0);
        pool.Pool.Clear(interruptLeases: true);
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["cleared"]);
    }

    [Fact]
    public async Task A_hook_that_stalls_in_a_pipe_read_keeps_its_buffer()
    {
        // Given back with the receive still pending, the array would be somebody else's when the bytes arrive.
        await using PoolHarness pool = new(hooks: new()
        {
            Handshake = async (lease, _) =>
            {
                await lease.Input.ReadAsync(CancellationToken.None);
                return null;
            },
        });
        Task<TcpLease> rent = pool.RentAsync();
        FakeTransport transport = (await pool.Connector.NextAsync()).Open();
        await PoolHarness.UntilAsync(() => transport.PendingBuffer.Length > 0);
        byte[] pending = transport.PendingArray();
        pool.Time.Advance(TimeSpan.FromSeconds(3));
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        for (int i = 0; i < 64; i++)
        {
            Assert.NotSame(pending, ArrayPool<byte>.Shared.Rent(pending.Length));
        }
    }

    [Theory]
    [InlineData(true, nameof(IdleVerdict.UnreadBytes), "before it had read everything")]
    [InlineData(false, nameof(IdleVerdict.Clean), "before it had read everything")]
    [InlineData(true, nameof(IdleVerdict.PeerClosed), "closed the connection at the end of the handshake")]
    public async Task What_a_handshake_leaves_in_the_transport_fails_the_dial_of_a_direct_hand_over(bool parks, string verdict, string message)
    {
        await using PoolHarness pool = new(hooks: new() { Handshake = static (_, _) => ValueTask.FromResult<object?>(null) });
        Task<TcpLease> rent = pool.RentAsync();
        FakeTransport transport = (await pool.Connector.NextAsync()).Open(new FakeTransport { ParkResult = parks, Verdict = Enum.Parse<IdleVerdict>(verdict) });
        EndpointUnavailableException e = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
        Assert.True(transport.IsClosed);
        pool.AssertCounts(idle: 0, used: 0, connecting: 0);
    }
}
