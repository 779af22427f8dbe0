using PooledTcp.Configuration;
using PooledTcp.Health;
using Xunit;

namespace PooledTcp.Tests.Health;

/// <summary>The state machine by itself: the test is its clock, its pool and its dice.</summary>
public sealed class BreakerTests
{
    private static readonly TimeSpan Tick = TimeSpan.FromTicks(1);

    private readonly Breaker _breaker;
    private HealthSettings _settings = new() { FailuresToOpen = 3, MaxBackoff = TimeSpan.FromSeconds(5) };
    private double _random;
    private TimeSpan _now = TimeSpan.FromHours(1);

    public BreakerTests() => _breaker = new Breaker(() => _random);

    [Fact]
    public void It_opens_at_the_last_of_so_many_failures_in_a_row()
    {
        Fail(2);
        Assert.Equal(BreakerState.Closed, _breaker.State);
        Assert.True(_breaker.LetsThrough);

        Fail(1);
        Assert.Equal(BreakerState.Open, _breaker.State);
        Assert.False(_breaker.LetsThrough);
        Assert.Equal(3, _breaker.Failures);
    }

    [Fact]
    public void A_success_in_between_starts_the_count_anew()
    {
        Fail(2);
        _breaker.Succeeded();
        Assert.Equal(0, _breaker.Failures);
        Fail(2);
        Assert.Equal(BreakerState.Closed, _breaker.State);
    }

    [Fact]
    public void The_pause_over_one_probe_may_start()
    {
        Fail(3);
        _breaker.Advance(_breaker.RetryAt - Tick);
        Assert.Equal(BreakerState.Open, _breaker.State);

        Wait();
        Assert.Equal(BreakerState.HalfOpen, _breaker.State);
        Assert.True(_breaker.LetsThrough);
        Assert.True(_breaker.Begin());
        Assert.False(_breaker.LetsThrough);
        Assert.False(_breaker.Begin());
    }

    [Fact]
    public void A_good_probe_closes_it()
    {
        Fail(3);
        Probe();
        _breaker.Succeeded();
        Assert.Equal(BreakerState.Closed, _breaker.State);
        Assert.Equal(0, _breaker.Failures);
        Assert.True(_breaker.LetsThrough);
        Assert.False(_breaker.Begin());
    }

    [Fact]
    public void Each_failed_probe_doubles_the_pause_up_to_the_cap()
    {
        Fail(3);
        foreach (double expected in (double[])[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])
        {
            Assert.Equal(TimeSpan.FromSeconds(expected), _breaker.RetryAt - _now);
            Probe();
            _breaker.Failed(isProbe: true, _now, _settings);
            Assert.Equal(BreakerState.Open, _breaker.State);
        }
    }

    [Fact]
    public void The_doubling_never_overflows()
    {
        _settings = _settings with { MaxBackoff = TimeSpan.FromHours(1) };
        Fail(3);
        for (int i = 0; i < 100; i++)
        {
            Probe();
            _breaker.Failed(isProbe: true, _now, _settings);
        }

        Assert.Equal(TimeSpan.FromHours(1), _breaker.RetryAt - _now);
    }

    [Theory]
    [InlineData(0, 100)]
    [InlineData(0.5, 75)]
    [InlineData(1, 50)]
    public void Chance_takes_off_up_to_a_half(double random, double milliseconds)
    {
        _random = random;
        Fail(3);
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), _breaker.RetryAt - _now);
    }

    [Fact]
    public void After_a_recovery_the_pauses_begin_anew()
    {
        Fail(3);
        Probe();
        _breaker.Failed(isProbe: true, _now, _settings);
        Probe();
        _breaker.Succeeded();
        Fail(3);
        Assert.Equal(Breaker.FirstBackoff, _breaker.RetryAt - _now);
    }

    [Fact]
    public void A_dial_from_before_does_not_prolong_the_pause()
    {
        Fail(3);
        TimeSpan retryAt = _breaker.RetryAt;
        _now += TimeSpan.FromMilliseconds(50);
        _breaker.Failed(isProbe: false, _now, _settings);
        Assert.Equal(retryAt, _breaker.RetryAt);
        Assert.Equal(4, _breaker.Failures);

        Probe();
        _breaker.Failed(isProbe: false, _now, _settings);
        Assert.Equal(BreakerState.HalfOpen, _breaker.State);
        Assert.False(_breaker.LetsThrough);
    }

    [Fact]
    public void A_dial_from_before_that_succeeds_closes_it()
    {
        Fail(3);
        _breaker.Succeeded();
        Assert.Equal(BreakerState.Closed, _breaker.State);
    }

    [Fact]
    public void A_probe_that_fails_after_that_is_one_failure()
    {
        Fail(3);
        Probe();
        _breaker.Succeeded();
        _breaker.Failed(isProbe: true, _now, _settings);
        Assert.Equal(BreakerState.Closed, _breaker.State);
        Assert.Equal(1, _breaker.Failures);
    }

    [Fact]
    public void A_probe_that_was_given_up_may_be_repeated_at_once()
    {
        Fail(3);
        Probe();
        _breaker.Released(isProbe: true);
        Assert.True(_breaker.IsProbeDue);

        Assert.True(_breaker.Begin());
        _breaker.Released(isProbe: false);
        Assert.False(_breaker.IsProbeDue);
    }

    [Fact]
    public void What_tells_nothing_about_the_server_never_opens_it()
    {
        for (int i = 0; i < 100; i++)
        {
            _breaker.Missed(isProbe: false, _now, _settings);
        }

        Assert.Equal(BreakerState.Closed, _breaker.State);
        Assert.Equal(0, _breaker.Failures);
        Assert.True(_breaker.LetsThrough);
    }

    [Fact]
    public void A_probe_that_tells_nothing_has_to_wait_again()
    {
        Fail(3);
        Probe();
        _breaker.Missed(isProbe: true, _now, _settings);
        Assert.Equal(BreakerState.Open, _breaker.State);
        Assert.Equal(2 * Breaker.FirstBackoff, _breaker.RetryAt - _now);
        Assert.Equal(3, _breaker.Failures);
    }

    [Fact]
    public void A_miss_makes_it_doubtful_for_a_pause()
    {
        _breaker.Missed(isProbe: false, _now, _settings);
        Assert.True(_breaker.IsDoubtful);
        _breaker.Advance(_breaker.RetryAt - Tick);
        Assert.True(_breaker.IsDoubtful);
        _breaker.Advance(_breaker.RetryAt);
        Assert.False(_breaker.IsDoubtful);

        _breaker.Missed(isProbe: false, _now, _settings);
        Assert.Equal(2 * Breaker.FirstBackoff, _breaker.RetryAt - _now);
        _breaker.Succeeded();
        Assert.False(_breaker.IsDoubtful);
    }

    [Fact]
    public void New_settings_hold_at_the_next_failure()
    {
        Fail(2);
        _settings = _settings with { FailuresToOpen = 2 };
        Fail(1);
        Assert.Equal(BreakerState.Open, _breaker.State);
        _settings = _settings with { MaxBackoff = TimeSpan.FromMilliseconds(150) };
        Probe();
        _breaker.Failed(isProbe: true, _now, _settings);
        Assert.Equal(TimeSpan.FromMilliseconds(150), _breaker.RetryAt - _now);
    }

    private void Fail(int times)
    {
        for (int i = 0; i < times; i++)
        {
            _breaker.Failed(isProbe: false, _now, _settings);
        }
    }

    private void Wait()
    {
        _now = _breaker.RetryAt;
        _breaker.Advance(_now);
    }

    private void Probe()
    {
        Wait();
        Assert.True(_breaker.Begin());
    }
}
