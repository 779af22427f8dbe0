using Microsoft.Extensions.Time.Testing;
using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

public sealed class PoolClockTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void The_coarse_copy_is_never_ahead_and_at_most_ten_microseconds_behind_the_last_reading()
    {
        PoolClock clock = new(_time);
        TimeSpan written = clock.Coarse;
        for (int i = 0; i < 100; i++)
        {
            _time.Advance(TimeSpan.FromMicroseconds(3));
            TimeSpan now = clock.Read();
            Assert.InRange(now - clock.Coarse, TimeSpan.Zero, TimeSpan.FromMicroseconds(9.9));
            Assert.True(clock.Coarse == written || clock.Coarse == now, "It is a reading, and written every 10 us.");
            written = clock.Coarse;
        }

        Assert.Equal(TimeSpan.FromMicroseconds(300), clock.Read());
    }

    [Fact]
    public void The_coarse_copy_moves_with_readings_only()
    {
        PoolClock clock = new(_time);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.Zero, clock.Coarse);
        Assert.Equal(TimeSpan.FromSeconds(1), clock.Read());
        Assert.Equal(TimeSpan.FromSeconds(1), clock.Coarse);
    }
}
