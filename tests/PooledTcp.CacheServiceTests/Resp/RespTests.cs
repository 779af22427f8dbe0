using System.Buffers;
using System.Text;
using CacheService.Cache;
using CacheService.Resp;
using Xunit;

namespace PooledTcp.CacheServiceTests.Resp;

/// <summary>Bytes of commands and replies.</summary>
public sealed class RespTests
{
    [Fact]
    public void A_command_is_one_array_of_bulk_strings()
    {
        byte[] value = [0, 13, 10, 255];
        using RespCommand set = RespCommand.Create("SET"u8, "naïve", new ReadOnlySequence<byte>(value));
        using RespCommand ping = RespCommand.Create("PING"u8);
        using RespCommand get = RespCommand.Create("GET"u8, "k");

        Assert.Equal([.. "*3\r\n$3\r\nSET\r\n$6\r\nnaïve\r\n$4\r\n"u8, .. value, .. "\r\n"u8], set.Bytes.ToArray());
        Assert.Equal("*1\r\n$4\r\nPING\r\n"u8.ToArray(), ping.Bytes.ToArray());
        Assert.Equal("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"u8.ToArray(), get.Bytes.ToArray());
    }

    [Fact]
    public void A_value_in_several_segments_is_one_value()
    {
        ReadOnlySequence<byte> value = Segmented("ab"u8.ToArray(), "cd"u8.ToArray());

        using RespCommand set = RespCommand.Create("SET"u8, "k", value);

        Assert.EndsWith("$4\r\nabcd\r\n", Encoding.Latin1.GetString(set.Bytes.Span), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("+OK\r\n", (int)RespKind.Simple, "OK")]
    [InlineData("-ERR no\r\n", (int)RespKind.Error, "ERR no")]
    [InlineData(":-12\r\n", (int)RespKind.Integer, "-12")]
    [InlineData("$-1\r\n", (int)RespKind.Null, "")]
    [InlineData("$0\r\n\r\n", (int)RespKind.Bulk, "")]
    [InlineData("$7\r\na\r\nb\r\nc\r\n", (int)RespKind.Bulk, "a\r\nb\r\nc")]
    public void A_reply_is_found_once_its_last_byte_is_there_and_not_before(string text, int kind, string payload)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.False(RespFrame.TryParse(bytes.AsSpan(0, length), out _, out int needed), $"after {length} bytes");
            Assert.InRange(needed, length + 1, bytes.Length);
        }

        Assert.True(RespFrame.TryParse([.. bytes, .. "+more"u8], out RespFrame frame, out _));
        Assert.Equal((RespKind)kind, frame.Kind);
        Assert.Equal(payload, Encoding.Latin1.GetString(bytes, frame.Start, frame.Length));
        Assert.Equal(bytes.Length, frame.End);
        Assert.Equal(kind == (int)RespKind.Integer ? -12 : 0, frame.Number);
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\n")]
    [InlineData("*1\r\n$1\r\na\r\n")]
    [InlineData(":twelve\r\n")]
    [InlineData(":12 \r\n")]
    [InlineData("$-2\r\n")]
    [InlineData("$99999999999\r\n")]
    [InlineData("$3\r\nabcde")]
    public void What_is_no_reply_is_refused(string text) =>
        Assert.Throws<RespProtocolException>(() => RespFrame.TryParse(Encoding.Latin1.GetBytes(text), out _, out _));

    [Theory]
    [InlineData("a", true)]
    [InlineData("user:12/names\u00e9", true)]
    [InlineData("", false)]
    [InlineData("  ", false)]
    [InlineData("a\nb", false)]
    [InlineData("a\u0000", false)]
    public void Keys(string key, bool good) => Assert.Equal(good, CacheKey.Fault(key) is null);

    [Fact]
    public void A_key_is_measured_in_bytes()
    {
        Assert.Null(CacheKey.Fault(new string('\u00e9', 125)));
        Assert.Equal("A key has at most 250 bytes of UTF-8; this one has 252.", CacheKey.Fault(new string('\u00e9', 126)));
    }

    private static ReadOnlySequence<byte> Segmented(byte[] first, byte[] second)
    {
        var start = new Segment(first, 0);
        var end = new Segment(second, first.Length);
        start.Link(end);
        return new ReadOnlySequence<byte>(start, 0, end, second.Length);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(byte[] bytes, long index)
        {
            Memory = bytes;
            RunningIndex = index;
        }

        public void Link(Segment next) => Next = next;
    }
}
