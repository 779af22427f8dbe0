using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Which dials run, for whom, and what becomes of them when the waiter has gone.</summary>
public sealed class DialingTests
{
    [Fact]
    public async Task One_attempt_per_waiter()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 100, connecting: 100));
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 7).Select(_ => pool.RentAsync())];
        pool.AssertCounts(connecting: 7, waiting: 7);

        foreach (FakeDial dial in await pool.Connector.NextAsync(7))
        {
            dial.Open();
        }

        await Task.WhenAll(rents);
        Assert.Equal(7, pool.Connector.Dials);
        pool.AssertCounts(used: 7, connecting: 0, waiting: 0);
    }

    [Fact]
    public async Task At_most_MaxConnecting()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 100, connecting: 3));
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 20).Select(_ => pool.RentAsync())];

        // All that run have started before the first ends: how many a busy machine starts at once is not the question.
        Queue<FakeDial> started = new(await pool.Connector.NextAsync(3));
        for (int i = 0; i < rents.Length; i++)
        {
            pool.AssertCounts(connecting: Math.Min(3, 20 - i), waiting: 20 - i);
            started.Dequeue().Open();
            await rents[i];
            if (i + 3 < rents.Length)
            {
                started.Enqueue(await pool.Connector.NextAsync());
            }
        }

        Assert.Equal(3, pool.Connector.MostRunning);
    }

    [Fact]
    public async Task Dials_stay_within_MaxConnections()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 2, connecting: 10));
        (TcpLease lease, _) = await pool.DialAsync();
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 5).Select(_ => pool.RentAsync())];
        pool.AssertCounts(used: 1, connecting: 1, waiting: 5);
        PoolHarness.Return(lease);
        await rents[0];
    }

    [Fact]
    public async Task A_returned_connection_goes_to_the_oldest_waiter_even_while_its_dial_is_pending()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 2));
        (TcpLease lease, _) = await pool.DialAsync();
        long id = lease.ConnectionId;
        Task<TcpLease> oldest = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        Task<TcpLease> next = pool.RentAsync();

        PoolHarness.Return(lease);
        Assert.Equal(id, (await oldest).ConnectionId);

        // The dial that was left behind serves the next one, which had none.
        pool.AssertCounts(connecting: 1, waiting: 1);
        dial.Open();
        Assert.NotEqual(id, (await next).ConnectionId);
        Assert.Equal(2, pool.Connector.Dials);
    }

    [Fact]
    public async Task A_dialed_connection_goes_to_the_oldest_waiter_whoever_it_was_dialed_for()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 2));
        Task<TcpLease> oldest = pool.RentAsync();
        FakeDial slow = await pool.Connector.NextAsync();
        Task<TcpLease> younger = pool.RentAsync();
        (await pool.Connector.NextAsync()).Open();

        await oldest;
        Assert.False(younger.IsCompleted);
        slow.Open();
        await younger;
    }

    [Fact]
    public async Task A_cancelled_caller_leaves_its_dial_to_the_next()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 1));
        using CancellationTokenSource cancel = new();
        Task<TcpLease> cancelled = pool.RentAsync(cancel.Token);
        FakeDial dial = await pool.Connector.NextAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.False(dial.CancellationToken.IsCancellationRequested);

        Task<TcpLease> next = pool.RentAsync();
        pool.AssertCounts(connecting: 1, waiting: 1);
        dial.Open();
        await next;
        Assert.Equal(1, pool.Connector.Dials);
    }

    [Fact]
    public async Task A_dial_that_nobody_waits_for_any_more_ends_in_idle()
    {
        await using PoolHarness pool = new();
        using CancellationTokenSource cancel = new();
        Task<TcpLease> cancelled = pool.RentAsync(cancel.Token);
        FakeDial dial = await pool.Connector.NextAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);

        dial.Open();
        await pool.UntilAsync(static now => now.Idle == 1);
        pool.AssertCounts(idle: 1, connecting: 0);
    }

    [Fact]
    public async Task A_failed_dial_fails_only_the_waiter_it_was_started_for()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 2));
        Task<TcpLease> first = pool.RentAsync();
        FakeDial firstDial = await pool.Connector.NextAsync();
        Task<TcpLease> second = pool.RentAsync();
        FakeDial secondDial = await pool.Connector.NextAsync();

        secondDial.Fail(new IOException("refused"));
        EndpointUnavailableException e = await Assert.ThrowsAsync<EndpointUnavailableException>(() => second);
        Assert.Equal("refused", e.InnerException!.Message);
        Assert.Contains("10.0.0.1:7000", e.Message, StringComparison.Ordinal);
        Assert.Contains("MaxConnections 4", e.Message, StringComparison.Ordinal);
        Assert.False(first.IsCompleted);

        firstDial.Open();
        await first;
        pool.AssertCounts(used: 1, connecting: 0, waiting: 0);
    }

    [Fact]
    public async Task A_failed_dial_fails_its_waiter_before_its_permit_is_released()
    {
        // Otherwise the freed permit starts a second dial for the waiter that is about to fail: the storm comes back.
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 1));
        Task<TcpLease>[] rents = [.. Enumerable.Range(0, 3).Select(_ => pool.RentAsync())];
        foreach (Task<TcpLease> rent in rents)
        {
            (await pool.Connector.NextAsync()).Fail();
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        }

        Assert.Equal(3, pool.Connector.Dials);
        pool.AssertCounts(connecting: 0, waiting: 0);
        Assert.Equal(3, pool.Now.DialsFailed);
    }

    [Fact]
    public async Task A_dial_left_by_a_served_waiter_fails_nobody_it_was_passed_to()
    {
        // runtime 60654: a dead host failed a request that had nothing to do with the attempt. Who inherits a dial takes
        // its success; after its failure it gets an attempt of its own.
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 1));
        using CancellationTokenSource cancel = new();
        Task<TcpLease> gone = pool.RentAsync(cancel.Token);
        FakeDial inherited = await pool.Connector.NextAsync();
        Task<TcpLease> heir = pool.RentAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);

        inherited.Fail();
        FakeDial own = await pool.Connector.NextAsync();
        Assert.False(heir.IsCompleted);
        own.Fail(new IOException("its own"));
        Assert.Equal("its own", (await Assert.ThrowsAsync<EndpointUnavailableException>(() => heir)).InnerException!.Message);
    }

    [Fact]
    public async Task ConnectTimeout_ends_a_dial_and_frees_its_permit()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 1, connect: TimeSpan.FromSeconds(3)));
        Task<TcpLease> rent = pool.RentAsync();
        await pool.Connector.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(3));

        EndpointUnavailableException e = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.IsType<TimeoutException>(e.InnerException);
        Assert.Contains("ConnectTimeout (3 s) passed while connecting", e.Message, StringComparison.Ordinal);
        pool.AssertCounts(connecting: 0);
        await pool.DialAsync();
    }

    [Fact]
    public async Task A_connect_that_ignores_cancellation_and_completes_late_is_closed()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 1));
        pool.Connector.IgnoresCancellation = true;
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial careless = await pool.Connector.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(3));

        // It does not keep the permit.
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        pool.AssertCounts(connecting: 0);

        FakeTransport late = careless.Open();
        await late.Closed.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        pool.AssertCounts(idle: 0, used: 0, connecting: 0);
    }

    [Fact]
    public async Task A_connect_that_ignores_cancellation_and_fails_late_is_forgotten()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(connecting: 1));
        pool.Connector.IgnoresCancellation = true;
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial careless = await pool.Connector.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(3));
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);

        careless.Fail();
        (TcpLease lease, _) = await pool.DialAsync();
        PoolHarness.Return(lease);
        Assert.Equal(1, pool.Now.DialsFailed);
    }

    [Fact]
    public async Task A_dial_does_not_run_on_the_execution_context_of_the_caller()
    {
        AsyncLocal<string> ambient = new() { Value = "the caller's" };
        string? seen = "not dialed";
        await using PoolHarness pool = new();
        pool.Connector.Automatic = _ =>
        {
            seen = ambient.Value;
            return new FakeTransport();
        };
        await pool.RentAsync();
        Assert.Null(seen);
    }

    [Fact]
    public async Task A_failed_dial_leaks_no_slot()
    {
        // Bedrock: a failed dial kept its slot for ever; after MaxConnections failures nothing was served again.
        await using PoolHarness pool = new(PoolHarness.Settings(max: 2, connecting: 2, failuresToOpen: 1000));
        for (int i = 0; i < 20; i++)
        {
            Task<TcpLease> rent = pool.RentAsync();
            (await pool.Connector.NextAsync()).Fail();
            await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        }

        await pool.DialAsync();
        await pool.DialAsync();
        pool.AssertCounts(used: 2);
    }

    [Fact]
    public async Task A_clock_that_runs_due_timers_while_one_is_made_breaks_no_books()
    {
        // As FakeTimeProvider does, when another thread has advanced it. The planner had the waiter in its hands then.
        await using PoolHarness pool = new();
        pool.Pool.Pause();
        Task<TcpLease> rent = pool.RentAsync();
        pool.Time.OnCreateTimer = () =>
        {
            pool.Time.OnCreateTimer = null;
            pool.Time.Advance(TimeSpan.FromSeconds(5));
        };
        pool.Pool.Resume();
        await Assert.ThrowsAsync<RentTimeoutException>(() => rent);
        (await pool.Connector.NextAsync()).Open();
        await pool.UntilAsync(static now => now.Idle == 1);
        pool.AssertCounts(idle: 1, connecting: 0, waiting: 0);
        PoolHarness.Return(await pool.RentAsync());
    }

    [Fact]
    public async Task A_clock_that_runs_due_timers_while_it_is_read_breaks_no_books()
    {
        await using PoolHarness pool = new();
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        pool.Time.OnReading = () =>
        {
            pool.Time.OnReading = null;
            pool.Time.Advance(TimeSpan.FromSeconds(5));
        };
        dial.Fail();
        await Assert.ThrowsAsync<RentTimeoutException>(() => rent);
        await pool.UntilAsync(static now => now.Connecting == 0);
        await pool.DialAsync();
    }

    [Fact]
    public async Task A_clock_that_fails_leaks_no_slot()
    {
        await using PoolHarness pool = new(PoolHarness.Settings(max: 1));
        pool.Time.OnCreateTimer = () => pool.Time.OnCreateTimer = static () => throw new InvalidOperationException("no timers left");
        Task<TcpLease> rent = pool.RentAsync();
        Assert.IsType<InvalidOperationException>((await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent)).InnerException);
        pool.Time.OnCreateTimer = null;
        await pool.DialAsync();
    }

    [Fact]
    public async Task The_settings_of_the_moment_are_dialed()
    {
        await using PoolHarness pool = new();
        pool.Core.Apply(PoolHarness.Settings() with { ConnectTimeout = TimeSpan.FromSeconds(1) });
        Task<TcpLease> rent = pool.RentAsync();
        FakeDial dial = await pool.Connector.NextAsync();
        Assert.Equal(TimeSpan.FromSeconds(1), dial.Settings.ConnectTimeout);
        dial.Open();
        await rent;
    }
}
