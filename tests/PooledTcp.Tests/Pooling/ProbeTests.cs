using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Probes of idle connections: whom they ask, and what a rent notices of them.</summary>
public sealed class ProbeTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    /// <summary>In one step, so that all that are due are found by one sweep, and no probe's time passes.</summary>
    private static readonly TimeSpan UntilDue = TimeSpan.FromSeconds(35);

    /// <summary>For tests whose clock goes on while a probe runs.</summary>
    private static readonly HealthSettings Patient = TestSettings.Health with { ProbeTimeout = TimeSpan.FromHours(1) };

    [Fact]
    public async Task The_coldest_is_asked_first_and_one_at_a_time()
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(health: Patient), probe.Hooks);
        long[] ids = await FillApartAsync(pool, 3);
        pool.Pass(UntilDue, step: UntilDue);
        (long id, TaskCompletionSource answer) = await probe.NextAsync();
        Assert.Equal(ids[0], id);
        pool.Pass(TimeSpan.FromSeconds(4), step: TimeSpan.FromSeconds(0.2));
        Assert.False(probe.TryNext());

        answer.SetResult();
        (id, answer) = await probe.NextAsync();
        Assert.Equal(ids[1], id);
        answer.SetResult();
        (id, answer) = await probe.NextAsync();
        Assert.Equal(ids[2], id);
        answer.SetResult();
    }

    [Fact]
    public async Task Before_its_time_nobody_is_asked_and_then_again_after_an_interval()
    {
        FakeProbe probe = new() { AnswersAtOnce = true };
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(idle: TimeSpan.FromMinutes(10), health: Patient), probe.Hooks);
        await pool.FillAsync(1);
        pool.Pass(Interval - TimeSpan.FromSeconds(1));
        Assert.Equal(0, probe.Count);
        for (int round = 1; round <= 4; round++)
        {
            pool.Pass(TimeSpan.FromSeconds(7));
            await pool.UntilAsync(_ => probe.Count == round && !pool.Core.IsProbing);
            pool.Pass(TimeSpan.FromSeconds(23));
            Assert.Equal(round, probe.Count);
        }
    }

    [Fact]
    public async Task It_counts_as_idle_and_its_place_in_the_order_stays()
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 4, minIdle: 3), probe.Hooks);
        long[] ids = await FillApartAsync(pool, 3);
        pool.Pass(UntilDue, step: UntilDue);
        (long id, TaskCompletionSource answer) = await probe.NextAsync();
        Assert.Equal(ids[0], id);
        pool.Maintain();
        pool.AssertCounts(idle: 3, used: 0, connecting: 0);
        answer.SetResult();
        (id, answer) = await probe.NextAsync();
        Assert.Equal(ids[1], id);
        answer.SetResult();
        (_, answer) = await probe.NextAsync();
        answer.SetResult();
        await pool.UntilAsync(_ => !pool.Core.IsProbing);

        foreach (long expected in ids.Reverse())
        {
            Assert.Equal(expected, (await pool.RentAsync()).ConnectionId);
        }
    }

    [Fact]
    public async Task A_rent_takes_another_and_one_that_was_passed_over_is_found_again()
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(hooks: probe.Hooks);
        long[] ids = await FillApartAsync(pool, 2);
        pool.Pass(UntilDue, step: UntilDue);
        (long id, TaskCompletionSource answer) = await probe.NextAsync();
        Assert.Equal(ids[0], id);

        // The first pops the warm one, the second pops the probed one, drops it and dials.
        TcpLease first = await pool.RentAsync();
        TcpLease second = await pool.RentAsync();
        Assert.Equal(ids[1], first.ConnectionId);
        Assert.DoesNotContain(second.ConnectionId, ids);
        answer.SetResult();
        await pool.UntilAsync(_ => !pool.Core.IsProbing);

        TcpLease third = await pool.RentAsync();
        Assert.Equal(ids[0], third.ConnectionId);
        PoolHarness.Return(first);
        PoolHarness.Return(second);
        PoolHarness.Return(third);
        pool.AssertCounts(idle: 3, used: 0);
        HashSet<long> all = [];
        for (int i = 0; i < 3; i++)
        {
            Assert.True(all.Add((await pool.RentAsync()).ConnectionId));
        }
    }

    [Fact]
    public async Task At_the_limit_a_waiter_gets_the_probed_one_when_it_is_back()
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 2), probe.Hooks);
        long[] ids = await FillApartAsync(pool, 2);
        pool.Pass(UntilDue, step: UntilDue);
        (_, TaskCompletionSource answer) = await probe.NextAsync();
        TcpLease first = await pool.RentAsync();
        Task<TcpLease> waiting = pool.RentAsync();
        Assert.Equal(1, pool.Now.Waiting);
        answer.SetResult();
        TcpLease second = await waiting;
        Assert.Equal(ids[0], second.ConnectionId);
        PoolHarness.Return(first);
        PoolHarness.Return(second);
        pool.AssertCounts(idle: 2, used: 0, waiting: 0);
    }

    [Fact]
    public async Task The_last_idle_one_at_the_limit_is_not_asked()
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 2), probe.Hooks);
        await FillApartAsync(pool, 2);
        TcpLease other = await pool.RentAsync();
        pool.Pass(UntilDue * 2, step: UntilDue);
        Assert.False(probe.TryNext());
        PoolHarness.Return(other);
    }

    [Fact]
    public async Task A_failed_probe_closes_and_tells()
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(hooks: probe.Hooks);
        await pool.FillAsync(1);
        pool.Pass(UntilDue, step: UntilDue);
        (_, TaskCompletionSource answer) = await probe.NextAsync();
        answer.SetException(new InvalidDataException("-LOADING"));
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["health_check_failed"]);
        Assert.Equal(1, pool.Now.ClosedByMethod["abort"]);
        pool.AssertCounts(idle: 0, used: 0);
    }

    [Fact]
    public async Task One_without_an_answer_closes_after_its_time()
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(hooks: probe.Hooks);
        await pool.FillAsync(1);
        pool.Pass(UntilDue, step: UntilDue);
        await probe.NextAsync();
        pool.Time.Advance(TimeSpan.FromSeconds(1));
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["health_check_failed"]);
    }

    [Fact]
    public async Task It_does_not_prolong_the_idle_time()
    {
        FakeProbe probe = new() { AnswersAtOnce = true };
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(health: Patient), probe.Hooks);
        await pool.FillAsync(1);
        for (int i = 0; i < 100; i++)
        {
            pool.Pass(TimeSpan.FromSeconds(1));
            await pool.UntilAsync(_ => !pool.Core.IsProbing);
        }

        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["idle_timeout"]);
        Assert.InRange(probe.Count, 2, 3);
    }

    [Fact]
    public async Task Closing_the_pool_ends_a_probe()
    {
        FakeProbe probe = new();
        PoolHarness pool = PoolHarness.Automatic(hooks: probe.Hooks);
        await pool.FillAsync(1);
        pool.Pass(UntilDue, step: UntilDue);
        await probe.NextAsync();
        pool.Core.Close();
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["pool_shutdown"]);
        await pool.DisposeAsync();
    }

    [Fact]
    public async Task A_fin_that_is_here_already_is_no_failed_probe()
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(hooks: probe.Hooks);
        await pool.FillAsync(1);
        pool.Connector.Transports.Single().PeerClosesNow();
        pool.Pass(UntilDue, step: UntilDue);
        await pool.UntilAsync(now => now.Closed == 1 && !pool.Core.IsProbing);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
        Assert.Equal(0, probe.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task More_than_the_answer_closes(bool inTheKernel)
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(hooks: probe.Hooks);
        await pool.FillAsync(1);
        pool.Pass(UntilDue, step: UntilDue);
        (_, TaskCompletionSource answer) = await probe.NextAsync();
        FakeTransport transport = pool.Connector.Transports.Single();
        transport.Verdict = inTheKernel ? IdleVerdict.UnreadBytes : IdleVerdict.Clean;
        transport.ParkResult = inTheKernel;
        answer.SetResult();
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["health_check_failed"]);
    }

    [Fact]
    public async Task A_lease_that_the_probe_disposes_closes()
    {
        EndpointHooks hooks = new()
        {
            Probe = static async (lease, _) => await lease.DisposeAsync(),
        };
        await using PoolHarness pool = PoolHarness.Automatic(hooks: hooks);
        await pool.FillAsync(1);
        pool.Pass(UntilDue, step: UntilDue);
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["health_check_failed"]);
    }

    [Fact]
    public async Task The_word_of_the_peers_close_during_it_is_heard_after_it()
    {
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(hooks: probe.Hooks);
        await pool.FillAsync(1);
        pool.Pass(UntilDue, step: UntilDue);
        (long id, TaskCompletionSource answer) = await probe.NextAsync();
        pool.PeerWatch.CloseByPeer(id);
        pool.AssertCounts(idle: 1);
        answer.SetResult();
        await pool.UntilAsync(static now => now.Closed == 1);
        Assert.Equal(1, pool.Now.ClosedByReason["peer_closed"]);
    }

    [Fact]
    public async Task Clear_and_drain_during_it_take_effect_after_it()
    {
        foreach ((Action<PoolHarness> act, string reason) in new (Action<PoolHarness>, string)[]
        {
            (static pool => pool.Pool.Clear(), "cleared"),
            (static pool => _ = pool.Core.DrainAsync(), "pool_shutdown"),
        })
        {
            FakeProbe probe = new();
            await using PoolHarness pool = PoolHarness.Automatic(hooks: probe.Hooks);
            await pool.FillAsync(1);
            pool.Pass(UntilDue, step: UntilDue);
            (_, TaskCompletionSource answer) = await probe.NextAsync();
            act(pool);
            pool.AssertCounts(idle: 1);
            answer.SetResult();
            await pool.UntilAsync(static now => now.Closed == 1);
            Assert.Equal(1, pool.Now.ClosedByReason[reason]);
        }
    }

    [Theory]
    [InlineData(0.0, 30)]
    [InlineData(0.5, 27)]
    [InlineData(1.0, 24)]
    public async Task Up_to_a_fifth_of_the_interval_is_taken_off(double random, int seconds)
    {
        FakeProbe probe = new() { AnswersAtOnce = true };
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(health: Patient), probe.Hooks, random: random);
        await pool.FillAsync(1);
        TimeSpan early = TimeSpan.FromSeconds(seconds - 0.5);
        pool.Pass(early, step: early);
        Assert.False(pool.Core.IsProbing);
        Assert.Equal(0, probe.Count);

        // In steps of its own: the look just now was a sweep, too.
        pool.Pass(TimeSpan.FromSeconds(6), step: TimeSpan.FromSeconds(6));
        await pool.UntilAsync(_ => probe.Count == 1);
    }

    [Fact]
    public async Task While_somebody_waits_nobody_is_asked()
    {
        // Two are due; when the first is done somebody waits, whose dial has not ended.
        FakeProbe probe = new();
        await using PoolHarness pool = PoolHarness.Automatic(hooks: probe.Hooks);
        await FillApartAsync(pool, 2);
        pool.Pass(UntilDue, step: UntilDue);
        (_, TaskCompletionSource answer) = await probe.NextAsync();
        pool.Pool.Pause();
        Task<TcpLease> waiting = pool.RentAsync();
        answer.SetResult();
        await pool.UntilAsync(_ => !pool.Core.IsProbing);
        Assert.Equal(1, probe.Count);
        pool.Pool.Resume();
        PoolHarness.Return(await waiting);
    }

    [Theory]
    [InlineData("redis", "*1\r\n$4\r\nPING\r\n", "+PONG\r\n", null)]
    [InlineData("redis", "*1\r\n$4\r\nPING\r\n", "-NOAUTH Authentication required.\r\n", "health_check_failed")]
    [InlineData("redis", "*1\r\n$4\r\nPING\r\n", "+PO", "health_check_failed")]
    [InlineData("memcached", "version\r\n", "VERSION 1.6.38\r\n", null)]
    [InlineData("memcached", "version\r\n", "ERROR\r\n", "health_check_failed")]
    [InlineData("memcached", "version\r\n", "VERSION 1.6.38\r\nSERVER_ERROR stray\r\n", "health_check_failed")]
    public async Task Configuration_names_question_and_answer(string name, string question, string answer, string? reason)
    {
        await using PoolHarness pool = PoolHarness.Automatic(
            PoolHarness.Settings(health: TestSettings.Health with { Probe = ProbeScript.Find(name) }));
        await pool.FillAsync(1);
        FakeTransport transport = pool.Connector.Transports.Single();
        pool.Pass(UntilDue, step: UntilDue);
        await pool.UntilAsync(_ => transport.Sent.Count == 1);
        Assert.Equal(question, System.Text.Encoding.ASCII.GetString(transport.Sent[0]));

        // In two pieces, as TCP may.
        transport.Feed(answer[..2]);
        transport.Feed(answer[2..]);
        if (answer == "+PO")
        {
            // The rest never comes.
            pool.Time.Advance(TimeSpan.FromSeconds(1));
        }

        await pool.UntilAsync(now => !pool.Core.IsProbing && now.Closing == 0);
        Assert.Equal(reason, pool.Now.ClosedByReason.Keys.SingleOrDefault());
    }

    [Fact]
    public async Task Probes_rents_and_the_rebuilding_of_the_stack_at_once_lose_nothing()
    {
        // Every connection is due again as soon as the fake clock has moved, and dead links make the sweep rebuild. The clock
        // runs under dials and probes, so neither has a deadline to speak of.
        FakeProbe probe = new() { AnswersAtOnce = true };
        HealthSettings health = TestSettings.Health with { ProbeInterval = TimeSpan.FromSeconds(1), ProbeTimeout = TimeSpan.FromDays(30) };
        PoolSettings settings = PoolHarness.Settings(
            max: 8, connect: TimeSpan.FromDays(30), idle: Timeout.InfiniteTimeSpan, lifetime: Timeout.InfiniteTimeSpan, health: health);
        await using PoolHarness pool = PoolHarness.Automatic(settings, probe.Hooks, idleSlots: 2);
        await pool.FillAsync(8);
        using CancellationTokenSource hung = new(PoolHarness.Hang);
        using CancellationTokenSource end = new();
        Task upkeep = Task.Run(async () =>
        {
            while (!end.IsCancellationRequested)
            {
                pool.Time.Advance(TimeSpan.FromSeconds(1));
                pool.Maintain();
                if (Random.Shared.Next(8) == 0 && pool.PeerWatch.AnyId() is { } id)
                {
                    pool.PeerWatch.TryCloseByPeer(id);
                }

                await Task.Yield();
            }
        });
        Task[] callers = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            // Upkeep is one thread among these, and may come late.
            for (int i = 0; i < 2000 || (probe.Count < 100 && !hung.IsCancellationRequested); i++)
            {
                TcpLease lease = await pool.Pool.RentAsync(Timeout.InfiniteTimeSpan, CancellationToken.None).AsTask().WaitAsync(PoolHarness.Hang);
                PoolHarness.Return(lease);
                if (i % 64 == 0)
                {
                    await Task.Yield();
                }
            }
        }))];
        await Task.WhenAll(callers);
        await end.CancelAsync();
        await upkeep;
        await pool.UntilAsync(now => !pool.Core.IsProbing && now is { Connecting: 0, Closing: 0, Used: 0 } && pool.Connector.Live == now.Idle);

        // What is idle can be rented, each once.
        int idle = pool.Now.Idle;
        int dials = pool.Connector.Dials;
        HashSet<long> ids = [];
        for (int i = 0; i < idle; i++)
        {
            Assert.True(pool.Pool.TryRent(out TcpLease lease));
            Assert.True(ids.Add(lease.ConnectionId));
        }

        Assert.Equal(dials, pool.Connector.Dials);
        Assert.True(probe.Count >= 100);
    }

    /// <summary>Each a second colder than the next.</summary>
    private static async Task<long[]> FillApartAsync(PoolHarness pool, int count)
    {
        TcpLease[] leases = new TcpLease[count];
        for (int i = 0; i < count; i++)
        {
            leases[i] = await pool.RentAsync();
        }

        long[] ids = [.. leases.Select(static l => l.ConnectionId)];
        foreach (TcpLease lease in leases)
        {
            pool.Time.Advance(TimeSpan.FromSeconds(1));
            pool.Services.Clock.Read();
            PoolHarness.Return(lease);
        }

        return ids;
    }
}
