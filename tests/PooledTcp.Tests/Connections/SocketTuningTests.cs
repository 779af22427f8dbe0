using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

public sealed class SocketTuningTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(4, 2)]
    [InlineData(5, 2)]
    [InlineData(8, 4)]
    [InlineData(20, 10)]
    [InlineData(120, 60)]
    [InlineData(32_767, 16_383)]
    public void Keepalive_begins_up_to_half_of_it_earlier_and_every_whole_second_of_it_is_drawn_alike(int time, int shortest)
    {
        int values = time - shortest + 1;
        for (int i = 0; i < values; i++)
        {
            Assert.Equal(time - i, Draw(time, (i + 0.01) / values));
            Assert.Equal(time - i, Draw(time, (i + 0.99) / values));
        }

        Assert.Equal(time, Draw(time, 0));
        Assert.Equal(shortest, Draw(time, Math.BitDecrement(1.0)));
        Assert.Equal(shortest, Draw(time, 1));
    }

    [Fact]
    public void Parts_of_a_second_are_rounded_up_first()
    {
        Assert.Equal(21, SocketTuning.DrawKeepAliveSeconds(TimeSpan.FromMilliseconds(20_001), 0));
        Assert.Equal(1, SocketTuning.DrawKeepAliveSeconds(TimeSpan.FromMilliseconds(1), 1));
    }

    private static int Draw(int seconds, double random) => SocketTuning.DrawKeepAliveSeconds(TimeSpan.FromSeconds(seconds), random);
}
