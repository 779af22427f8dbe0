using System.Text;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

public class GoodbyeTests
{
    // From the protocols' documents, byte by byte: a table copied from the code would agree with any mistake in it.
    public static TheoryData<string, string> Catalogue => new()
    {
        { "ftp", "515549540D0A" },
        { "imap", "627965204C4F474F55540D0A" },
        { "memcached", "717569740D0A" },
        { "mysql", "0100000001" },
        { "pop3", "515549540D0A" },
        { "postgresql", "5800000004" },
        { "redis", "2A310D0A24340D0A515549540D0A" },
        { "smtp", "515549540D0A" },
        { "stomp", "444953434F4E4E4543540A0A00" },
    };

    [Theory]
    [MemberData(nameof(Catalogue))]
    public void A_known_protocol_says_goodbye_in_its_own_bytes(string name, string expected)
    {
        Assert.Equal(expected, Parse(name));
        Assert.Equal(expected, Parse(name.ToUpperInvariant()));
    }

    [Fact]
    public void The_table_above_is_the_whole_catalogue() =>
        Assert.Equal(Catalogue.Select(static row => row.Data.Item1), GoodbyeCatalogue.Names);

    [Theory]
    [InlineData(@"raw:QUIT\r\n", "515549540D0A")]
    [InlineData("raw:QUIT\r\n", "515549540D0A")]
    [InlineData(@"RAW:\x58\x00\x00\x00\x04", "5800000004")]
    [InlineData(@"raw:\xfF\xAb", "FFAB")]
    [InlineData(@"raw:\t\0\\", "09005C")]
    [InlineData(@"raw:\\r", "5C72")]
    [InlineData(@"raw:\x41B", "4142")]
    [InlineData("raw: raw:", "207261773A")]
    public void Raw_bytes_are_written_with_escapes(string text, string expected) => Assert.Equal(expected, Parse(text));

    [Theory]
    [InlineData("raw:", "has no bytes after raw:")]
    [InlineData(@"raw:\", @"ends in a single \ at position 5: the escapes are \r \n \t \0 \\ and \xHH")]
    [InlineData(@"raw:QUIT\R", @"has \R at position 9: the escapes are \r \n \t \0 \\ and \xHH")]
    [InlineData(@"raw:\x", @"has \x at position 5: two hexadecimal digits follow \x")]
    [InlineData(@"raw:a\x5", @"has \x5 at position 6: two hexadecimal digits follow \x")]
    [InlineData(@"raw:\x5g1", @"has \x5g at position 5: two hexadecimal digits follow \x")]
    [InlineData(@"raw:\x 1", @"has \x 1 at position 5: two hexadecimal digits follow \x")]
    [InlineData("raw:bye é", @"has 'é' at position 9, which is not ASCII: write its bytes as \xHH")]
    [InlineData("postgres", "is not a known farewell. Did you mean postgresql?")]
    [InlineData("Memcache", "is not a known farewell. Did you mean memcached?")]
    [InlineData(@"QUIT\r\n", @"is not a known farewell. Known are ftp, imap, memcached, mysql, pop3, postgresql, redis, smtp, stomp; write your own as raw: and its bytes, as in raw:QUIT\r\n")]
    public void What_is_wrong_is_said_with_its_position(string text, string expected)
    {
        Assert.False(GoodbyeParser.TryParse(text, out var farewell, out var error));
        Assert.Equal(expected, error);
        Assert.True(farewell.IsEmpty);
    }

    [Fact]
    public void A_farewell_has_an_end()
    {
        var longest = new StringBuilder("raw:").Insert(4, @"\x41", 1024).ToString();

        Assert.Equal(2 * 1024, Parse(longest).Length);
        Assert.False(GoodbyeParser.TryParse(longest + "A", out _, out var error));
        Assert.Equal("is 1,025 bytes long; a farewell has 1,024 at most", error);
    }

    private static string Parse(string text)
    {
        Assert.True(GoodbyeParser.TryParse(text, out var farewell, out var error), error);
        return Convert.ToHexString(farewell.Memory.Span);
    }
}
