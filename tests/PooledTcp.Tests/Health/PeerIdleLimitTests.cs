using PooledTcp.Health;
using Xunit;

namespace PooledTcp.Tests.Health;

public sealed class PeerIdleLimitTests
{
    private readonly PeerIdleLimit _limit = new();
    private TimeSpan _now;

    [Fact]
    public void Three_closes_at_one_age_make_a_limit()
    {
        Assert.False(Closed(60.4));
        Assert.False(Closed(61));
        Assert.Null(_limit.Limit);
        Assert.Equal(TimeSpan.MaxValue, _limit.LendFor);

        Assert.True(Closed(60));
        Assert.Equal(Seconds(60), _limit.Limit);
        Assert.Equal(Seconds(57), _limit.LendFor);
    }

    [Fact]
    public void Closes_at_any_age_make_none()
    {
        foreach (double age in (double[])[5, 60, 31, 60, 12, 60, 45])
        {
            Assert.False(Closed(age));
        }

        Assert.Null(_limit.Limit);
    }

    [Fact]
    public void Closes_that_come_together_count_once()
    {
        // A restart closes a hundred that went idle together.
        for (int i = 0; i < 100; i++)
        {
            Assert.False(_limit.Closed(Seconds(40), _now));
        }

        Assert.Null(_limit.Limit);
    }

    [Fact]
    public void Of_those_that_come_together_the_one_that_idled_least_tells()
    {
        Closed(62);
        Closed(62);
        _now += Seconds(30);
        _limit.Closed(Seconds(62), _now);
        Assert.True(_limit.Closed(Seconds(60), _now + Seconds(1)));
        Assert.Equal(Seconds(60), _limit.Limit);
    }

    [Fact]
    public void A_peer_that_closes_at_once_has_no_idle_limit()
    {
        for (int i = 0; i < 5; i++)
        {
            Assert.False(Closed(1.9));
        }

        Assert.Null(_limit.Limit);
    }

    [Fact]
    public void A_restart_takes_nothing_back()
    {
        Learn(60);
        Closed(7);
        Assert.Equal(Seconds(60), _limit.Limit);
    }

    [Theory]
    [InlineData(20)]
    [InlineData(120)]
    public void A_new_limit_of_the_peer_is_learned(double seconds)
    {
        Learn(60);
        Learn(seconds);
        Assert.Equal(Seconds(seconds), _limit.Limit);
    }

    [Fact]
    public void One_that_outlives_it_makes_it_forgotten()
    {
        Learn(60);
        Assert.Equal(Seconds(66), _limit.HoldsUntil);
        _limit.Survived(Seconds(66));
        Assert.Equal(Seconds(60), _limit.Limit);

        _limit.Survived(Seconds(66.1));
        Assert.Null(_limit.Limit);

        // From the beginning: what was seen before proves nothing any more.
        Closed(60);
        Closed(60);
        Assert.Null(_limit.Limit);
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 1.5)]
    [InlineData(10, 8)]
    [InlineData(60, 57)]
    [InlineData(600, 570)]
    public void Lending_ends_just_below(double limit, double lendFor)
    {
        Learn(limit);
        Assert.Equal(Seconds(lendFor), _limit.LendFor);
    }

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    private void Learn(double seconds)
    {
        Closed(seconds);
        Closed(seconds);
        Closed(seconds);
    }

    private bool Closed(double seconds)
    {
        _now += TimeSpan.FromSeconds(10);
        return _limit.Closed(Seconds(seconds), _now);
    }
}
