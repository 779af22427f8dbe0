using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Ports;

public sealed class PortRangeTests
{
    [Theory]
    [InlineData("40000-40063", 40000, 40063)]
    [InlineData(" 40000 - 40063 ", 40000, 40063)]
    [InlineData("8080", 8080, 8080)]
    [InlineData("1-65535", 1, 65535)]
    public void A_range_is_read(string text, int first, int last)
    {
        Assert.True(PortRange.TryParse(text, out PortRange range));
        Assert.Equal(new PortRange(first, last), range);
        Assert.Equal(last - first + 1, range.Count);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-")]
    [InlineData("40063-40000")]
    [InlineData("0-10")]
    [InlineData("1-65536")]
    [InlineData("-5")]
    [InlineData("1-2-3")]
    [InlineData("a-b")]
    public void What_is_no_range_is_refused(string text) => Assert.False(PortRange.TryParse(text, out _));

    [Theory]
    [InlineData("10-20", "15-30", "15-20")]
    [InlineData("10-20", "20-30", "20")]
    [InlineData("10-20", "21-30", null)]
    [InlineData("10-20", "1-100", "10-20")]
    public void Ranges_intersect(string one, string other, string? common)
    {
        Assert.True(PortRange.TryParse(one, out PortRange a));
        Assert.True(PortRange.TryParse(other, out PortRange b));

        Assert.Equal(common, a.Intersect(b)?.ToString());
        Assert.Equal(common, b.Intersect(a)?.ToString());
        Assert.Equal(common == other, a.Contains(b));
    }

    [Fact]
    public void A_set_counts_what_a_plain_set_counts()
    {
        var random = new Random(7);
        for (int round = 0; round < 200; round++)
        {
            var ports = new PortSet();
            var model = new HashSet<int>();
            for (int i = random.Next(300); i > 0; i--)
            {
                int port = random.Next(4) == 0 ? random.Next(65536) : 40000 + random.Next(200);
                ports.Add(port);
                model.Add(port);
            }

            int first = round % 5 == 0 ? 0 : 39950 + random.Next(250);
            var range = new PortRange(first, round % 7 == 0 ? 65535 : first + random.Next(200));
            var hole = new PortRange(40050, 40050 + random.Next(40));
            Assert.Equal(model.Count(port => range.Contains(port) && !hole.Contains(port)), ports.CountIn(range, [hole]));
        }
    }

    [Fact]
    public void A_cleared_set_is_empty()
    {
        var ports = new PortSet();
        ports.Add(1);
        ports.Add(65535);
        Assert.Equal(2, ports.CountIn(new PortRange(0, 65535), []));

        ports.Clear();
        Assert.Equal(0, ports.CountIn(new PortRange(0, 65535), []));
    }
}
