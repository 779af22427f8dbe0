using PooledTcp.AspNetCore.Stats;
using Xunit;

namespace PooledTcp.StatsPageTests;

public sealed class FormatTests
{
    [Theory]
    [InlineData(null, "–")]
    [InlineData(0.0, "0")]
    [InlineData(0.0000001, "<1 µs")]
    [InlineData(0.0004124, "412 µs")]
    [InlineData(0.0042, "4.2 ms")]
    [InlineData(0.0416, "42 ms")]
    [InlineData(0.9994, "999 ms")]
    [InlineData(0.9996, "1.0 s")]
    [InlineData(59.94, "59.9 s")]
    [InlineData(59.96, "1 min 0 s")]
    [InlineData(725.0, "12 min 5 s")]
    [InlineData(11520.0, "3 h 12 min")]
    [InlineData(180000.0, "2 d 2 h")]
    public void Seconds(double? value, string text) => Assert.Equal(text, Format.Seconds(value));

    [Theory]
    [InlineData(null, "–")]
    [InlineData(0.0, "0 %")]
    [InlineData(0.0005, "<0.1 %")]
    [InlineData(0.9999, "99.9 %")]
    [InlineData(0.5, "50.0 %")]
    [InlineData(1.0, "100 %")]
    [InlineData(1.2, "120 %")]
    public void Share(double? value, string text) => Assert.Equal(text, Format.Share(value));

    [Theory]
    [InlineData(null, "–")]
    [InlineData(0.0, "0")]
    [InlineData(0.04, "<0.1")]
    [InlineData(4.25, "4.3")]
    [InlineData(9.96, "10")]
    [InlineData(1240.4, "1,240")]
    public void Rate(double? value, string text) => Assert.Equal(text, Format.Rate(value));
}
