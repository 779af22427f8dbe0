using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using PooledTcp.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>When a name is looked up, and what becomes of a lookup that fails or hangs.</summary>
public sealed class NameCacheTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);
    private static readonly IPAddress One = IPAddress.Parse("10.0.0.1");
    private static readonly IPAddress Two = IPAddress.Parse("10.0.0.2");

    private readonly FakeTime _time = new();
    private readonly PoolClock _clock;
    private readonly ConcurrentQueue<TaskCompletionSource<IPAddress[]>> _lookups = new();
    private readonly ConcurrentQueue<IReadOnlyList<IPAddress>> _told = new();
    private readonly ConcurrentQueue<Exception> _failed = new();
    private readonly NameCache _cache;
    private int _asked;

    public NameCacheTests()
    {
        _clock = new PoolClock(_time);
        _cache = new NameCache(
            "cache.test",
            (host, _) =>
            {
                Assert.Equal("cache.test", host);
                TaskCompletionSource<IPAddress[]> lookup = new(TaskCreationOptions.RunContinuationsAsynchronously);
                _lookups.Enqueue(lookup);
                Interlocked.Increment(ref _asked);
                return lookup.Task;
            },
            _clock,
            _told.Enqueue,
            _failed.Enqueue);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Dials_that_come_together_wait_for_one_lookup()
    {
        Task[] dials = [.. Enumerable.Range(0, 5).Select(_ => _cache.ResolveAsync(Token))];
        await AnswerAsync([One, Two]);
        await Task.WhenAll(dials);

        Assert.Equal([[One, Two]], _told);
        Assert.Equal(1, _asked);
        Assert.True(_cache.ResolveAsync(Token).IsCompletedSuccessfully);
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task A_dial_that_gives_up_leaves_the_lookup_to_the_others()
    {
        using CancellationTokenSource cancel = new();
        Task impatient = _cache.ResolveAsync(cancel.Token);
        Task patient = _cache.ResolveAsync(Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => impatient);

        await AnswerAsync([One]);
        await patient;
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task A_first_lookup_that_fails_fails_the_dials_and_is_asked_again()
    {
        Task dial = _cache.ResolveAsync(Token);
        (await LookupAsync()).SetException(new SocketException((int)SocketError.TryAgain));
        SocketException error = await Assert.ThrowsAsync<SocketException>(() => dial);
        Assert.Equal(SocketError.TryAgain, error.SocketErrorCode);

        // It is the dial's own failure: no event of its own.
        Assert.Empty(_failed);
        Task next = _cache.ResolveAsync(Token);
        await AnswerAsync([One]);
        await next;
    }

    [Fact]
    public async Task No_address_is_a_failure()
    {
        Task dial = _cache.ResolveAsync(Token);
        await AnswerAsync([], told: false);
        SocketException error = await Assert.ThrowsAsync<SocketException>(() => dial);
        Assert.Equal(SocketError.HostNotFound, error.SocketErrorCode);
    }

    [Fact]
    public async Task A_resolver_that_hangs_is_given_up()
    {
        Task dial = _cache.ResolveAsync(Token);
        await LookupAsync();
        await PoolHarness.UntilAsync(() => _time.ArmedTimers == 1);
        _time.Advance(NameCache.LookupTimeout);
        SocketException error = await Assert.ThrowsAsync<SocketException>(() => dial);
        Assert.Equal(SocketError.TryAgain, error.SocketErrorCode);

        Task next = _cache.ResolveAsync(Token);
        await AnswerAsync([One]);
        await next;
    }

    [Fact]
    public async Task Mapped_and_repeated_addresses_are_folded()
    {
        Task dial = _cache.ResolveAsync(Token);
        await AnswerAsync([IPAddress.Parse("::ffff:10.0.0.1"), One, Two]);
        await dial;
        Assert.Equal([[One, Two]], _told);
    }

    [Fact]
    public async Task Before_anybody_needs_the_name_nothing_is_looked_up()
    {
        Assert.Equal(TimeSpan.MaxValue, Refresh());
        _cache.RefreshSoon(_clock.Read());
        await Task.Yield();
        Assert.Equal(0, _asked);
    }

    [Fact]
    public async Task The_name_is_looked_up_again_when_the_interval_is_over()
    {
        await ResolveAsync();
        Assert.Equal(_clock.Read() + Interval, Refresh());
        _time.Advance(Interval - TimeSpan.FromTicks(1));
        Refresh();
        Assert.Equal(1, _asked);

        _time.Advance(TimeSpan.FromTicks(1));
        Refresh();
        Refresh();
        await AnswerAsync([Two]);
        Assert.Equal([[One], [Two]], _told);
        Assert.Equal(2, _asked);
    }

    [Fact]
    public async Task An_infinite_interval_asks_only_after_failed_dials()
    {
        await ResolveAsync();
        _time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(TimeSpan.MaxValue, _cache.RefreshIfDue(Timeout.InfiniteTimeSpan, _clock.Read()));
        Assert.Equal(1, _asked);

        _cache.RefreshSoon(_clock.Read());
        await AnswerAsync([Two]);
    }

    [Fact]
    public async Task A_failed_refresh_keeps_what_is_known_is_told_and_tried_sooner()
    {
        await ResolveAsync();
        _time.Advance(Interval);
        Refresh();
        (await LookupAsync()).SetException(new SocketException((int)SocketError.TryAgain));
        await PoolHarness.UntilAsync(() => Refresh() == _clock.Read() + NameCache.RetryDelay);

        Assert.Equal(SocketError.TryAgain, Assert.IsType<SocketException>(Assert.Single(_failed)).SocketErrorCode);
        Assert.Single(_told);
        Assert.True(_cache.ResolveAsync(Token).IsCompletedSuccessfully);
        _time.Advance(NameCache.RetryDelay);
        Refresh();
        await AnswerAsync([Two]);
    }

    [Fact]
    public async Task Failing_dials_get_one_lookup_a_second()
    {
        await ResolveAsync();
        _cache.RefreshSoon(_clock.Read());
        Assert.Equal(1, _asked);
        _time.Advance(NameCache.ShortestPause);
        for (int i = 0; i < 10; i++)
        {
            _cache.RefreshSoon(_clock.Read());
        }

        await AnswerAsync([Two]);
        Assert.Equal(2, _asked);
    }

    private TimeSpan Refresh() => _cache.RefreshIfDue(Interval, _clock.Read());

    private async Task ResolveAsync()
    {
        Task dial = _cache.ResolveAsync(Token);
        await AnswerAsync([One]);
        await dial;
    }

    private async Task<TaskCompletionSource<IPAddress[]>> LookupAsync()
    {
        TaskCompletionSource<IPAddress[]>? lookup = null;
        await PoolHarness.UntilAsync(() => _lookups.TryDequeue(out lookup));
        return lookup!;
    }

    /// <summary>And waits until it was told and the lookup is over.</summary>
    private async Task AnswerAsync(IPAddress[] addresses, bool told = true)
    {
        int before = _told.Count;
        (await LookupAsync()).SetResult(addresses);
        if (told)
        {
            await PoolHarness.UntilAsync(() => _told.Count > before && Refresh() > _clock.Read() + NameCache.ShortestPause);
        }
    }
}
