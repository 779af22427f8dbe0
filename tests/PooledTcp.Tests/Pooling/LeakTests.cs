using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Leases that nobody returns: what the garbage collector finds is closed, counted and reported.</summary>
public sealed class LeakTests
{
    /// <summary>One comes by meanwhile, and the connection lets go of the lease's handle.</summary>
    private static readonly TimeSpan Sweep = TimeSpan.FromSeconds(10);

    /// <summary>Keeps what a test must not lose, whatever the JIT thinks of it.</summary>
    private object? _kept;

    [Fact]
    public async Task A_lost_lease_frees_its_place_and_closes_its_connection()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        pool.LosesLeases = true;
        await LoseAsync(pool);
        await CollectUntilAsync(() => pool.Now.Closed == 1);

        pool.AssertCounts(idle: 0, used: 0);
        Assert.Equal(1, pool.Now.ClosedByReason["leaked"]);

        // Out of step for all that is known: the peer has to notice.
        Assert.Equal(1, pool.Now.ClosedByMethod["abort"]);
    }

    [Fact]
    public async Task Who_waits_is_served_in_its_place()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, rent: Timeout.InfiniteTimeSpan));
        pool.LosesLeases = true;
        await LoseAsync(pool);
        Task<TcpLease> waiting = pool.RentAsync();
        await CollectUntilAsync(() => waiting.IsCompleted);
        PoolHarness.Return(await waiting);
        pool.AssertCounts(idle: 1, used: 0, waiting: 0);
    }

    [Theory]
    [InlineData("completed")]
    [InlineData("sent")]
    [InlineData("stream")]
    [InlineData("pipes")]
    [InlineData("reused")]
    [InlineData("handshake")]
    public async Task It_is_found_whatever_was_done_with_it(string how)
    {
        EndpointHooks hooks = how == "handshake"
            ? new() { Handshake = static (lease, _) => ValueTask.FromResult<object?>(lease) }
            : EndpointHooks.None;
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1), hooks);
        pool.LosesLeases = true;
        if (how == "reused")
        {
            await pool.FillAsync(1);
        }

        await LoseAsync(pool, how);
        await CollectUntilAsync(() => pool.Now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["leaked"]);
    }

    [Fact]
    public async Task One_in_an_abandoned_task_is_found()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        pool.LosesLeases = true;
        WeakReference task = Abandon(pool);
        await pool.UntilAsync(static now => now is { Rents: 2, Used: 1 });
        pool.Pass(Sweep);
        await CollectUntilAsync(() => pool.Now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["leaked"]);
        await CollectUntilAsync(() => !task.IsAlive);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static WeakReference Abandon(PoolHarness pool)
        {
            Task running = HoldForEverAsync(pool);
            Assert.False(running.IsCompleted);
            return new WeakReference(running);
        }

        static async Task HoldForEverAsync(PoolHarness pool)
        {
            // Synchronously: the test waits for nothing but the lease itself.
            await pool.FillAsync(1).WaitAsync(PoolHarness.Hang, CancellationToken.None);
            await using TcpLease lease = await pool.Pool.RentAsync(CancellationToken.None);
            await new TaskCompletionSource().Task;
        }
    }

    [Theory]
    [InlineData("lease")]
    [InlineData("stream")]
    [InlineData("input")]
    [InlineData("output")]
    [InlineData("receive")]
    public async Task A_lease_of_which_anything_is_held_is_not_lost(string held)
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        pool.LosesLeases = true;
        await HoldAsync(pool, held);
        pool.Pass(Sweep);
        for (int i = 0; i < 5; i++)
        {
            Collect();
            await Task.Yield();
        }

        pool.AssertCounts(used: 1);
        Assert.NotNull(_kept);
        GC.KeepAlive(_kept);
    }

    [Fact]
    public async Task A_lease_that_was_returned_is_not_lost_and_its_connection_not_either()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        pool.LosesLeases = true;
        await pool.FillAsync(1);
        for (int i = 0; i < 5; i++)
        {
            Collect();
            await pool.FillAsync(1);
        }

        pool.AssertCounts(idle: 1);
        Assert.Equal(0, pool.Now.Closed);
    }

    [Fact]
    public async Task A_finalizer_that_disposes_a_lost_lease_does_not_get_it_lent_again()
    {
        // Both are found in one collection, and which finalizer runs first is open. Were the connection lent again, the
        // other finalizer would take it from under the next caller.
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 8));
        pool.LosesLeases = true;
        await pool.Pool.WarmUpAsync(8, TestContext.Current.CancellationToken);
        await pool.UntilAsync(static now => now.Idle == 8);

        // On a thread that ends, and the first leases there are: a frame that lingers on a parked thread may keep what it
        // rented for as long as it likes, and with it the handle of every later lease of that connection.
        Thread thread = new(() => LoseInFinalizables(pool, 8));
        thread.UnsafeStart();
        Assert.True(thread.Join(PoolHarness.Hang));
        await CollectUntilAsync(() => pool.Now.Closed == 8);
        Assert.Equal(8, pool.Now.ClosedByReason["leaked"]);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Theory]
    [InlineData(true, false, null)]
    [InlineData(false, true, null)]
    [InlineData(false, false, "abandoned")]
    public async Task A_lease_that_comes_back_after_a_sweep_is_what_it_was(bool completedBefore, bool completedAfter, string? closed)
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        pool.LosesLeases = true;
        TcpLease lease = await pool.RentAsync();
        if (completedBefore)
        {
            lease.Complete();
        }

        pool.Pass(Sweep);
        if (completedAfter)
        {
            lease.Complete();
        }

        lease.Dispose();
        Assert.Equal(closed is null ? [] : [closed], pool.Now.ClosedByReason.Keys);
        if (closed is null)
        {
            // And its connection has the handle again, for the next lease and for one that is lost.
            PoolHarness.Return(await pool.RentAsync());
            Assert.Equal(1, pool.Now.Created);
            await LoseAsync(pool);
            await CollectUntilAsync(() => pool.Now.Closed == 1);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_is_found_after_a_close_that_came_before_any_sweep(bool client)
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1));
        pool.LosesLeases = true;
        await RentAndForgetAsync(pool, "");
        if (client)
        {
            pool.Core.Close();
        }
        else
        {
            pool.Pool.Clear(interruptLeases: true);
        }

        await CollectUntilAsync(() => pool.Now.Used == 0);
    }

    [Fact]
    public async Task Returns_that_meet_the_sweep_lose_neither_the_connection_nor_its_handle()
    {
        await using PoolHarness pool = PoolHarness.Automatic(
            PoolHarness.Settings(max: 1) with { IdleTimeout = Timeout.InfiniteTimeSpan, Lifetime = Timeout.InfiniteTimeSpan });
        pool.LosesLeases = true;
        await pool.FillAsync(1);
        Task sweeps = Task.Run(() =>
        {
            for (int i = 0; i < 2_000; i++)
            {
                pool.Pass(Sweep, Sweep);
            }
        });
        while (!sweeps.IsCompleted)
        {
            Assert.True(pool.Pool.TryRent(out TcpLease lease));
            PoolHarness.Return(lease);
        }

        await sweeps;
        pool.AssertCounts(idle: 1, used: 0);
        Assert.Equal(0, pool.Now.Closed);

        await LoseAsync(pool);
        await CollectUntilAsync(() => pool.Now.Closed == 1);
    }

    [Theory]
    [InlineData("input")]
    [InlineData("output")]
    public async Task What_a_lease_left_in_its_pipes_is_found_after_a_sweep(string pipe)
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        pool.LosesLeases = true;
        (TcpLease lease, FakeTransport transport) = await pool.DialAsync();
        if (pipe == "output")
        {
            lease.Output.Write("abc"u8);
        }
        else
        {
            transport.Feed("+1\r\n+2\r\n");
            ReadResult read = await lease.Input.ReadAsync(CancellationToken.None);
            lease.Input.AdvanceTo(read.Buffer.GetPosition(4));
        }

        pool.Pass(Sweep);
        lease.Complete();
        lease.Dispose();
        Assert.Equal(["returned_dirty"], pool.Now.ClosedByReason.Keys);
    }

    [Fact]
    public async Task It_is_reported_with_its_age_and_the_stack_of_its_rent()
    {
        RecordingLogger log = new();
        await using PoolHarness pool = PoolHarness.Automatic(Settings(max: 1, stacks: true), logger: log);
        pool.LosesLeases = true;
        await LoseAsync(pool, "late");
        await CollectUntilAsync(() => log.Has("pooled_tcp.lease.leaked"));

        RecordingLogger.Entry entry = log.Single("pooled_tcp.lease.leaked");
        Assert.Equal((30, LogLevel.Warning), (entry.Id, entry.Level));
        Assert.Contains("was lost 40 s after its rent", entry.Text, StringComparison.Ordinal);
        Assert.Contains(nameof(LoseAsync), entry.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_stacks_the_report_names_the_setting()
    {
        RecordingLogger log = new();
        await using PoolHarness pool = PoolHarness.Automatic(Settings(max: 1), logger: log);
        pool.LosesLeases = true;
        await LoseAsync(pool);
        await CollectUntilAsync(() => log.Has("pooled_tcp.lease.leaked"));
        Assert.Contains("Health.CaptureLeaseStacks", log.Single("pooled_tcp.lease.leaked").Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_lease_that_is_out_for_long_is_reported_once()
    {
        RecordingLogger log = new();
        await using PoolHarness pool = PoolHarness.Automatic(
            Settings(max: 2, stacks: true, warning: TimeSpan.FromSeconds(30)), logger: log);
        pool.LosesLeases = true;
        await pool.FillAsync(2);
        pool.Pass(TimeSpan.FromSeconds(20));
        TcpLease lease = await pool.RentAsync();
        pool.Pass(TimeSpan.FromSeconds(29));
        Assert.False(log.Has("pooled_tcp.lease.overdue"));
        pool.Pass(TimeSpan.FromSeconds(60));

        RecordingLogger.Entry entry = log.Single("pooled_tcp.lease.overdue");
        Assert.Equal((31, LogLevel.Warning), (entry.Id, entry.Level));
        Assert.Contains($"connection {lease.ConnectionId} has been out for", entry.Text, StringComparison.Ordinal);
        Assert.Contains(nameof(A_lease_that_is_out_for_long_is_reported_once), entry.Text, StringComparison.Ordinal);

        // The next lease of the same connection is another one.
        PoolHarness.Return(lease);
        lease = await pool.RentAsync();
        pool.Pass(TimeSpan.FromSeconds(40));
        Assert.Equal(2, log.Count("pooled_tcp.lease.overdue"));
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task A_rent_that_had_to_wait_shows_who_called_it()
    {
        RecordingLogger log = new();
        await using PoolHarness pool = PoolHarness.Automatic(
            Settings(max: 1, stacks: true, warning: TimeSpan.FromSeconds(10)), logger: log);
        pool.LosesLeases = true;
        TcpLease lease = await pool.RentAsync();
        Task<TcpLease> waiting = CallerOfRentAsync(pool);
        PoolHarness.Return(lease);
        TcpLease second = await waiting;
        pool.Pass(TimeSpan.FromSeconds(20));
        Assert.Contains(nameof(CallerOfRentAsync), log.Single("pooled_tcp.lease.overdue").Text, StringComparison.Ordinal);
        PoolHarness.Return(second);
    }

    [Fact]
    public async Task A_hook_is_no_overdue_lease()
    {
        RecordingLogger log = new();
        TaskCompletionSource end = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using PoolHarness pool = PoolHarness.Automatic(
            Settings(max: 1, warning: TimeSpan.FromSeconds(1)) with { ConnectTimeout = TimeSpan.FromMinutes(10) },
            new() { Reset = async (_, _) => await end.Task },
            logger: log);
        pool.LosesLeases = true;
        PoolHarness.Return(await pool.RentAsync());
        pool.Pass(TimeSpan.FromSeconds(30));
        Assert.False(log.Has("pooled_tcp.lease.overdue"));
        end.SetResult();
        await pool.UntilAsync(static now => now.Idle == 1);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<TcpLease> CallerOfRentAsync(PoolHarness pool) => await pool.RentAsync();

    private static PoolSettings Settings(int max, bool stacks = false, TimeSpan? warning = null) => PoolHarness.Settings(max) with
    {
        Health = TestSettings.Health with { CaptureLeaseStacks = stacks, LeaseWarningAfter = warning ?? Timeout.InfiniteTimeSpan },
    };

    /// <summary>A rent whose lease is nobody's when the method has returned: from then on any collection may find it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task LoseAsync(PoolHarness pool, string how = "")
    {
        await RentAndForgetAsync(pool, how);
        if (how != "late")
        {
            pool.Pass(Sweep);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task RentAndForgetAsync(PoolHarness pool, string how)
    {
        TcpLease lease = await pool.RentAsync();
        switch (how)
        {
            case "completed":
                lease.Complete();
                break;
            case "late":
                pool.Pass(TimeSpan.FromSeconds(40));
                pool.AssertCounts(used: 1);
                _ = lease.ConnectionId;
                break;
            case "sent":
                await lease.SendAsync(new byte[1]);
                break;
            case "stream":
                await lease.Stream.WriteAsync(new byte[1]);
                break;
            case "pipes":
                lease.Output.Write("abc"u8);
                _ = lease.Input;
                break;
            default:
                break;
        }
    }

    private static void LoseInFinalizables(PoolHarness pool, int count)
    {
        List<DisposesInItsFinalizer> lost = [];
        while (lost.Count < count)
        {
            Assert.True(pool.Pool.TryRent(out TcpLease lease));
            lease.Complete();
            lost.Add(new DisposesInItsFinalizer(lease));
        }

        // Before that they would be ordinary returns.
        pool.Pass(Sweep);
        GC.KeepAlive(lost);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private async Task HoldAsync(PoolHarness pool, string what)
    {
        TcpLease lease = await pool.RentAsync();
        _kept = what switch
        {
            "lease" => lease,
            "stream" => lease.Stream,
            "input" => lease.Input,
            "output" => lease.Output,
            _ => lease.ReceiveAsync(new byte[1]).AsTask(),
        };
    }

    private static async Task CollectUntilAsync(Func<bool> found)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!found())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < PoolHarness.Hang, "It was never found.");
            Collect();
            await Task.Yield();
        }
    }

    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    private sealed class DisposesInItsFinalizer(TcpLease lease)
    {
        ~DisposesInItsFinalizer() => lease.Dispose();
    }
}
