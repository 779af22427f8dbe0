using System.Net;
using System.Net.Sockets;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Ports;

public sealed class AddressKeyTests
{
    [Theory]
    [InlineData("10.1.2.3", "10.1.2.3")]
    [InlineData("::ffff:10.1.2.3", "10.1.2.3")]
    [InlineData("2001:db8::7", "2001:db8::7")]
    [InlineData("::1", "::1")]
    [InlineData("::", "any")]
    [InlineData("0.0.0.0", "any")]
    public void One_address_has_one_key_whatever_family_says_it(string address, string shown)
    {
        AddressKey key = AddressKey.From(IPAddress.Parse(address));

        Assert.Equal(shown, key.ToString());
        Assert.Equal(shown == "any", key.IsAny);
        Assert.Equal(shown.StartsWith("10.", StringComparison.Ordinal), key.IsIPv4);
    }

    [Fact]
    public void Both_spellings_of_an_IPv4_address_are_equal_and_others_are_not()
    {
        AddressKey plain = AddressKey.From(IPAddress.Parse("10.1.2.3"));

        Assert.Equal(plain, AddressKey.From(IPAddress.Parse("::ffff:10.1.2.3")));
        Assert.NotEqual(plain, AddressKey.From(IPAddress.Parse("10.1.2.4")));
        Assert.NotEqual(plain, AddressKey.From(IPAddress.Parse("::10.1.2.3")));
    }

    [Fact]
    public void It_is_written_in_network_order()
    {
        var four = new byte[4];
        var sixteen = new byte[16];
        AddressKey key = AddressKey.From(IPAddress.Parse("10.1.2.3"));

        key.Write(four, AddressFamily.InterNetwork);
        key.Write(sixteen, AddressFamily.InterNetworkV6);

        Assert.Equal([10, 1, 2, 3], four);
        Assert.Equal([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 1, 2, 3], sixteen);
    }
}
