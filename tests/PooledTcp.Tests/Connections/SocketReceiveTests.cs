using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>
/// Receives that nobody can cancel have event args of ours, lent by one pool for all connections: what a socket's own
/// promise, these promise, too.
/// </summary>
public sealed class SocketReceiveTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Bytes_that_are_there_and_bytes_that_come_are_received_and_counted()
    {
        await using Line line = await Line.OpenAsync();
        byte[] buffer = new byte[8];
        line.Server.Send([1, 2]);
        Assert.Equal(0, await Soon(line.Lease.ReceiveAsync(Memory<byte>.Empty)));
        ValueTask<int> there = line.Lease.ReceiveAsync(buffer);
        Assert.True(there.IsCompletedSuccessfully);
        Assert.Equal(2, await there);

        ValueTask<int> pending = line.Lease.ReceiveAsync(buffer);
        Assert.False(pending.IsCompleted);
        line.Server.Send([3, 4, 5]);
        Assert.Equal(3, await Soon(pending));
        Assert.Equal([3, 4, 5, 0, 0, 0, 0, 0], buffer);
        Assert.Equal(5, line.Lease.BytesReceived);

        pending = line.Lease.ReceiveAsync(buffer);
        line.Server.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await Soon(pending));
        line.Lease.Complete();
        line.Lease.Dispose();
        await LoopbackSockets.Until(() => line.HasClosedFor("peer_closed"));
    }

    [Fact]
    public async Task It_has_ended_before_its_caller_looks_and_if_nobody_ever_does()
    {
        await using Line line = await Line.OpenAsync();
        ValueTask<int> forgotten = line.Lease.ReceiveAsync(new byte[8]);
        line.Server.Send([1]);
        await LoopbackSockets.Until(() => line.Lease.BytesReceived == 1);
        await LoopbackSockets.Until(() => forgotten.IsCompleted);

        // Not in flight any more: another one may begin, and the lease may end well.
        ValueTask<int> next = line.Lease.ReceiveAsync(new byte[8]);
        line.Server.Send([2]);
        Assert.Equal(1, await Soon(next));
        line.Lease.Complete();
        line.Lease.Dispose();
        Assert.Equal(1, line.Pool.GetSnapshot().Idle);
    }

    [Fact]
    public async Task One_receive_at_a_time()
    {
        await using Line line = await Line.OpenAsync();
        ValueTask<int> first = line.Lease.ReceiveAsync(new byte[8]);
        Assert.Throws<InvalidOperationException>(() => { _ = line.Lease.ReceiveAsync(new byte[8]); });
        line.Server.Send([1]);
        Assert.Equal(1, await Soon(first));
    }

    [Fact]
    public async Task The_result_is_fetched_once_and_not_before_it_is_there()
    {
        await using Line line = await Line.OpenAsync();
        await using Line other = await Line.OpenAsync();
        ValueTask<int> receive = line.Lease.ReceiveAsync(new byte[8]);
        Assert.Throws<InvalidOperationException>(() => Take(receive));
        line.Server.Send([1]);
        await LoopbackSockets.Until(() => receive.IsCompleted);
        Assert.Equal(1, Take(receive));
        Assert.Throws<InvalidOperationException>(() => Take(receive));

        // The same object, very likely, in other hands: the old token opens nothing.
        byte[] buffer = new byte[8];
        ValueTask<int> others = other.Lease.ReceiveAsync(buffer);
        Assert.Throws<InvalidOperationException>(() => Take(receive));
        Assert.Throws<InvalidOperationException>(() => receive.IsCompleted);
        Assert.Throws<InvalidOperationException>(() => receive.GetAwaiter().UnsafeOnCompleted(static () => { }));
        other.Server.Send([7, 8]);
        Assert.Equal(2, await Soon(others));
        Assert.Equal([7, 8], buffer[..2]);
    }

    /// <summary>Given back twice, two connections would receive through one object, and one caller's bytes reach another.</summary>
    [Fact]
    public async Task Of_two_who_fetch_one_result_at_the_same_time_one_gets_it()
    {
        await using Line line = await Line.OpenAsync();
        byte[] buffer = new byte[8];
        using Barrier both = new(2);
        for (int i = 0; i < 2000; i++)
        {
            ValueTask<int> receive = line.Lease.ReceiveAsync(buffer);
            line.Server.Send([1]);
            await LoopbackSockets.Until(() => receive.IsCompleted);
            int[] got = await Task.WhenAll(Task.Run(TakeAsTheOtherDoes), Task.Run(TakeAsTheOtherDoes));
            Assert.Equal([0, 1], got.Order());

            int TakeAsTheOtherDoes()
            {
                both.SignalAndWait(Patience);
                try
                {
                    return Take(receive);
                }
                catch (InvalidOperationException)
                {
                    return 0;
                }
            }
        }
    }

    [Fact]
    public async Task Who_awaits_goes_on_in_its_own_context_or_in_none_if_it_does_not_ask()
    {
        AsyncLocal<string> local = new();
        await using Line line = await Line.OpenAsync();

        // The one who begins the receive is not the one who awaits it: its context must show nowhere.
        local.Value = "beginner";
        ValueTask<int> receive = line.Lease.ReceiveAsync(new byte[8]);
        TaskCompletionSource<string?> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        receive.GetAwaiter().UnsafeOnCompleted(() => seen.SetResult(local.Value));
        Assert.False(receive.IsCompleted);
        line.Server.Send([1]);
        Assert.Null(await seen.Task.WaitAsync(Patience, TestContext.Current.CancellationToken));
        Assert.Equal(1, Take(receive));

        receive = line.Lease.ReceiveAsync(new byte[8]);
        local.Value = "waiter";
        seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        receive.GetAwaiter().OnCompleted(() => seen.SetResult(local.Value));
        line.Server.Send([1]);
        Assert.Equal("waiter", await seen.Task.WaitAsync(Patience, TestContext.Current.CancellationToken));
        Assert.Equal(1, Take(receive));
    }

    [Fact]
    public async Task Who_awaits_goes_on_in_its_synchronization_context_only_if_it_asks()
    {
        await using Line line = await Line.OpenAsync();
        Assert.True(await PostsAsync(continueOnCapturedContext: true));
        Assert.False(await PostsAsync(continueOnCapturedContext: false));

        async Task<bool> PostsAsync(bool continueOnCapturedContext)
        {
            ValueTask<int> receive = line.Lease.ReceiveAsync(new byte[8]);
            CountingContext context = new();
            TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
            SynchronizationContext? before = SynchronizationContext.Current;
            SynchronizationContext.SetSynchronizationContext(context);
            try
            {
                receive.ConfigureAwait(continueOnCapturedContext).GetAwaiter().UnsafeOnCompleted(ended.SetResult);
            }
            finally
            {
                SynchronizationContext.SetSynchronizationContext(before);
            }

            line.Server.Send([1]);
            await ended.Task.WaitAsync(Patience, TestContext.Current.CancellationToken);
            Assert.Equal(1, Take(receive));
            return context.Posts > 0;
        }
    }

    [Fact]
    public async Task A_reset_is_told_as_ever_and_the_next_receives_do_not_suffer()
    {
        await using Line line = await Line.OpenAsync();
        await line.Lease.SendAsync(new byte[] { 1 });
        ValueTask<int> receive = line.Lease.ReceiveAsync(new byte[8]);
        LoopbackSockets.Reset(line.Server);
        ConnectionFaultedException fault = await Assert.ThrowsAsync<ConnectionFaultedException>(() => Soon(receive));
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(fault.InnerException).SocketErrorCode);
        Assert.Contains("failed while receiving", fault.Message, StringComparison.Ordinal);
        line.Lease.Dispose();
        await LoopbackSockets.Until(() => line.HasClosedFor("faulted"));

        await using Line other = await Line.OpenAsync();
        receive = other.Lease.ReceiveAsync(new byte[8]);
        other.Server.Send([1, 2]);
        Assert.Equal(2, await Soon(receive));
    }

    [Fact]
    public async Task A_receive_under_which_the_pool_closes_says_who_did()
    {
        await using Line line = await Line.OpenAsync();
        ValueTask<int> receive = line.Lease.ReceiveAsync(new byte[8]);
        line.Pool.Clear(interruptLeases: true);
        ConnectionFaultedException fault = await Assert.ThrowsAsync<ConnectionFaultedException>(() => Soon(receive));
        Assert.Contains("the pool closed it under the lease", fault.Message, StringComparison.Ordinal);

        // Nothing is left in flight, and one that begins now ends at once and alike.
        receive = line.Lease.ReceiveAsync(new byte[8]);
        Assert.True(receive.IsCompleted);
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => receive.AsTask());
    }

    [Fact]
    public async Task A_receive_with_a_token_can_still_be_cancelled()
    {
        await using Line line = await Line.OpenAsync();
        using CancellationTokenSource source = new();
        ValueTask<int> receive = line.Lease.ReceiveAsync(new byte[8], source.Token);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Soon(receive));
    }

    [Fact]
    public async Task Once_it_has_ended_it_keeps_neither_the_callers_memory_nor_the_lease()
    {
        await using Line line = await Line.OpenAsync();
        WeakReference buffer = null!;
        ValueTask<int> receive = default;

        // The lease's first and last copy, and the buffer, on a thread that ends: no frame of it lingers.
        Thread caller = new(() => Begin(line, out buffer, out receive));
        caller.Start();
        caller.Join();
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < 5 * Line.SweepInterval;)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            Assert.True(buffer.IsAlive);
            Assert.Equal(1, line.Pool.GetSnapshot().Used);
        }

        line.Server.Send([1]);
        await LoopbackSockets.Until(() => receive.IsCompleted);
        await LoopbackSockets.Until(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return !buffer.IsAlive && line.HasClosedFor("leaked");
        });
        Assert.Equal(1, Take(receive));

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Begin(Line line, out WeakReference buffer, out ValueTask<int> receive)
        {
            byte[] bytes = new byte[8];
            buffer = new WeakReference(bytes);
            receive = line.TakeLease().ReceiveAsync(bytes);
        }
    }

    /// <summary>The kernel takes a part at once: what it took is not sent again, and the rest is not forgotten.</summary>
    [Fact]
    public async Task A_send_that_has_to_wait_in_the_middle_arrives_whole()
    {
        await using Line line = await Line.OpenAsync();
        byte[] sent = new byte[8 * 1024 * 1024];
        new Random(7).NextBytes(sent);
        ValueTask send = line.Lease.SendAsync(sent);
        Assert.False(send.IsCompleted);
        byte[] received = new byte[sent.Length];
        for (int total = 0; total < received.Length;)
        {
            total += await line.Server.ReceiveAsync(received.AsMemory(total), LoopbackSockets.Deadline());
        }

        await send.AsTask().WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.Equal(sent.Length, line.Lease.BytesSent);
        Assert.True(sent.AsSpan().SequenceEqual(received));
    }

    private static Task<int> Soon(ValueTask<int> receive) => receive.AsTask().WaitAsync(Patience, TestContext.Current.CancellationToken);

    private static int Take(ValueTask<int> receive) => receive.GetAwaiter().GetResult();

    private sealed class CountingContext : SynchronizationContext
    {
        private int _posts;

        public int Posts => Volatile.Read(ref _posts);

        public override void Post(SendOrPostCallback d, object? state)
        {
            Interlocked.Increment(ref _posts);
            base.Post(d, state);
        }
    }

    /// <summary>A pool, its one lease, and the other end.</summary>
    private sealed class Line : IAsyncDisposable
    {
        private readonly PooledTcpClient _client;
        private TcpLease _lease;

        private Line(PooledTcpClient client, TcpPool pool, TcpLease lease, Socket server)
        {
            _client = client;
            Pool = pool;
            _lease = lease;
            Server = server;
        }

        /// <summary>A twentieth of the idle timeout: the connection lets go of a lease that it finds.</summary>
        public static TimeSpan SweepInterval { get; } = TimeSpan.FromMilliseconds(50);

        public TcpPool Pool { get; }

        public TcpLease Lease => _lease;

        public Socket Server { get; }

        public static async Task<Line> OpenAsync()
        {
            using Socket listener = LoopbackSockets.Listen();
            PooledTcpOptions options = new();
            options.Defaults.IdleTimeout = 20 * SweepInterval;
            PooledTcpClient client = new(options);
            TcpPool pool = client.GetPool((IPEndPoint)listener.LocalEndPoint!);
            Socket? server = null;
            TcpLease lease = default;
            Thread dialer = new(() =>
            {
                // As above: the lease may be lost later on, so it must not stay in a frame of the test.
                lease = pool.RentAsync().AsTask().GetAwaiter().GetResult();
                server = listener.Accept();
            });
            dialer.Start();
            dialer.Join();
            server!.NoDelay = true;
            await Task.Yield();
            return new Line(client, pool, lease, server);
        }

        public bool HasClosedFor(string reason) => Pool.GetSnapshot().ClosedByReason.TryGetValue(reason, out long times) && times == 1;

        /// <summary>From now on it is the caller's alone.</summary>
        public TcpLease TakeLease()
        {
            TcpLease lease = _lease;
            _lease = default;
            return lease;
        }

        public async ValueTask DisposeAsync()
        {
            Lease.Dispose();
            Server.Dispose();
            await _client.DisposeAsync();
        }
    }
}
