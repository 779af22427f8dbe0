using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

public class EndpointAddressTests
{
    [Theory]
    [InlineData("cache:6379", "cache", 6379, "cache:6379")]
    [InlineData("Cache.Example.COM:1", "cache.example.com", 1, "cache.example.com:1")]
    [InlineData("cache.example.com.:80", "cache.example.com.", 80, "cache.example.com.:80")]
    [InlineData("my_service:65535", "my_service", 65535, "my_service:65535")]
    [InlineData("xn--bcher-kva.example:80", "xn--bcher-kva.example", 80, "xn--bcher-kva.example:80")]
    [InlineData("3com.example:80", "3com.example", 80, "3com.example:80")]
    [InlineData("10.99.0.1:6379", "10.99.0.1", 6379, "10.99.0.1:6379")]
    [InlineData("[::1]:6379", "::1", 6379, "[::1]:6379")]
    [InlineData("[2001:DB8:0:0::1]:80", "2001:db8::1", 80, "[2001:db8::1]:80")]
    [InlineData("[fe80::1%3]:80", "fe80::1%3", 80, "[fe80::1%3]:80")]
    [InlineData("[::ffff:10.0.0.1]:80", "10.0.0.1", 80, "10.0.0.1:80")]
    [InlineData("unix:/run/cache.sock", "/run/cache.sock", 0, "unix:/run/cache.sock")]
    [InlineData("unix:/run/a b.sock", "/run/a b.sock", 0, "unix:/run/a b.sock")]
    [InlineData("unix:/run/../tmp/x", "/tmp/x", 0, "unix:/tmp/x")]
    [InlineData("unix:@cache", "@cache", 0, "unix:@cache")]
    public void Good_addresses_have_one_spelling(string text, string host, int port, string spelled)
    {
        var address = EndpointAddress.Parse(text);

        Assert.Equal(new EndpointAddress { Host = host, Port = port, IsUnix = text.StartsWith("unix:", StringComparison.Ordinal) }, address);
        Assert.Equal(spelled, address.ToString());
        Assert.Equal(address, EndpointAddress.Parse(address.ToString()));
        Assert.Equal(address, EndpointAddress.FromEndPoint(address.ToEndPoint()));
    }

    private static readonly string LongName = string.Join('.', Enumerable.Repeat("abcdefghi", 26));

    public static TheoryData<string?, string> BadAddresses => new()
    {
        { null, "is empty: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path" },
        { "", "is empty: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path" },
        { "  ", "is empty: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path" },
        { "cache", "has no port: write cache:port" },
        { "cache:", "has no port behind the colon" },
        { ":6379", "has no host in front of the port" },
        { "cache:x", "has the port \"x\", which is not a number" },
        { "cache:-1", "has the port \"-1\", which is not a number" },
        { "cache:+1", "has the port \"+1\", which is not a number" },
        { "cache:0", "has the port 0, which is not in the range 1 to 65,535" },
        { "cache:65536", "has the port 65536, which is not in the range 1 to 65,535" },
        { "cache:99999999999", "has the port 99999999999, which is not in the range 1 to 65,535" },
        { "::1", "is an IPv6 address without a port: write [::1]:port" },
        { "2001:db8::1:6379", "is an IPv6 address without a port: write [2001:db8::1:6379]:port" },
        { "a:b:6379", "has more than one colon: an IPv6 address stands in brackets, as in [2001:db8::1]:port" },
        { "[::1", "has no closing bracket" },
        { "[::1]", "has no port: write [::1]:port" },
        { "[::1]6379", "has no port: write [::1]:port" },
        { "[::1]:", "has no port behind the colon" },
        { "[cache]:80", "has \"cache\" in brackets, which is no IPv6 address" },
        { "[10.0.0.1]:80", "has \"10.0.0.1\" in brackets, which is no IPv6 address" },
        { "tcp://cache:6379", "is a URL: write the address without a scheme, as host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path" },
        { "unix:///run/x", "is a URL: write the address without a scheme, as host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path" },
        { "cache :6379", "contains a space or a control character" },
        { " cache:6379", "contains a space or a control character" },
        { "cache:6379\n", "contains a space or a control character" },
        { "0.0.0.0:80", "has the host 0.0.0.0, which is an address to listen on, not one to connect to" },
        { "[::]:80", "has the host ::, which is an address to listen on, not one to connect to" },
        { "[fe80::1]:80", "has the host fe80::1, which is link-local: write its interface too, as in [fe80::1%eth0]:port" },
        { "[fe80::1%nope]:80", "has the scope \"nope\", which is no interface of this machine" },
        { "[2001:db8::1%nope]:80", "has the scope \"nope\", which is no interface of this machine" },
        { "[ff02::1%1]:80", "has the host ff02::1%1, which is a multicast or broadcast address: TCP connects to one host" },
        { "224.0.0.1:80", "has the host 224.0.0.1, which is a multicast or broadcast address: TCP connects to one host" },
        { "239.255.255.255:80", "has the host 239.255.255.255, which is a multicast or broadcast address: TCP connects to one host" },
        { "255.255.255.255:80", "has the host 255.255.255.255, which is a multicast or broadcast address: TCP connects to one host" },
        { "[::ffff:255.255.255.255]:80", "has the host 255.255.255.255, which is a multicast or broadcast address: TCP connects to one host" },
        { "unix:/tmp/", "ends with /, so it names a directory and not a socket" },
        { "127.1:80", "has the host \"127.1\", which is no IPv4 address: write four numbers from 0 to 255 without leading zeros" },
        { "010.0.0.1:80", "has the host \"010.0.0.1\", which is no IPv4 address: write four numbers from 0 to 255 without leading zeros" },
        { "256.0.0.1:80", "has the host \"256.0.0.1\", which is no IPv4 address: write four numbers from 0 to 255 without leading zeros" },
        { "0x7f000001:80", "has the host \"0x7f000001\", which is no IPv4 address: write four numbers from 0 to 255 without leading zeros" },
        { "-cache:80", "has the host \"-cache\", which is no host name: labels of 1 to 63 letters, digits, - or _, separated by dots, 253 characters at most (an international name in its xn-- form)" },
        { "a..b:80", "has the host \"a..b\", which is no host name: labels of 1 to 63 letters, digits, - or _, separated by dots, 253 characters at most (an international name in its xn-- form)" },
        { "user@cache:80", "has more in it than a host and a port: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path (a login is the work of a handshake hook)" },
        { LongName + ":80", $"has the host \"{LongName}\", which is no host name: labels of 1 to 63 letters, digits, - or _, separated by dots, 253 characters at most (an international name in its xn-- form)" },
        { "unix:", "has no absolute path: write unix:/path, or unix:@name for an abstract socket" },
        { "unix:/", "has no absolute path: write unix:/path, or unix:@name for an abstract socket" },
        { "unix:run/x.sock", "has no absolute path: write unix:/path, or unix:@name for an abstract socket" },
        { "unix:/" + new string('x', 107), "has a path too long for a unix socket: 107 bytes at most on Linux, 103 on macOS" },
        { "unix:/a\0b", "contains a control character" },
    };

    [Theory]
    [InlineData("redis://:hunter2@10.0.0.7:6379", "redis://***@10.0.0.7:6379")]
    [InlineData("user:p@ss@host:1", "***@host:1")]
    [InlineData("a@b://c", "***@b://c")]
    [InlineData("host:1,password=x", "host:1***")]
    [InlineData("unix:@cache", "unix:@cache")]
    [InlineData("host:1", "host:1")]
    public void What_may_be_secret_is_not_shown(string text, string expected) =>
        Assert.Equal(expected, EndpointAddressParser.Shown(text));

    [Theory]
    [MemberData(nameof(BadAddresses))]
    public void Bad_addresses_say_what_is_wrong(string? text, string expected)
    {
        Assert.False(EndpointAddress.TryParse(text, out var address, out var error));
        Assert.Equal(default, address);
        Assert.Equal(expected, error);
    }

    [Fact]
    public void A_unix_path_may_fill_sun_path()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the limit is the platform's");
        Assert.True(EndpointAddress.TryParse("unix:/" + new string('x', 106), out _, out _));
    }

    [Fact]
    public void Parse_throws_what_TryParse_says()
    {
        var e = Assert.Throws<FormatException>(static () => EndpointAddress.Parse("cache"));
        Assert.Equal("\"cache\" has no port: write cache:port", e.Message);
    }

    [Fact]
    public void End_points_fold_to_the_same_address()
    {
        var literal = EndpointAddress.Parse("10.0.0.1:80");
        Assert.Equal(literal, EndpointAddress.FromEndPoint(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 80)));
        Assert.Equal(literal, EndpointAddress.FromEndPoint(new IPEndPoint(IPAddress.Parse("::ffff:10.0.0.1"), 80)));
        Assert.Equal(literal, EndpointAddress.FromEndPoint(new DnsEndPoint("10.0.0.1", 80)));
        Assert.Equal(EndpointAddress.Parse("[::1]:80"), EndpointAddress.FromEndPoint(new DnsEndPoint("::1", 80)));
        Assert.Equal(EndpointAddress.Parse("cache:80"), EndpointAddress.FromEndPoint(new DnsEndPoint("CACHE", 80)));
        Assert.Equal(EndpointAddress.Parse("unix:/run/x"), EndpointAddress.FromEndPoint(new UnixDomainSocketEndPoint("/run/x")));
        Assert.Equal(
            Path.GetFullPath("x.sock"), EndpointAddress.FromEndPoint(new UnixDomainSocketEndPoint("x.sock")).Host);
        Assert.NotEqual(literal, EndpointAddress.Parse("10.0.0.1:81"));
    }

    [Fact]
    public void Literals_and_names_become_their_own_kind_of_end_point()
    {
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 80), EndpointAddress.Parse("127.0.0.1:80").ToEndPoint());
        Assert.Equal(new DnsEndPoint("cache", 80), EndpointAddress.Parse("cache:80").ToEndPoint());
        Assert.Equal("@cache", EndpointAddress.Parse("unix:@cache").ToEndPoint().ToString());
        Assert.IsType<UnixDomainSocketEndPoint>(EndpointAddress.Parse("unix:/run/x").ToEndPoint());
    }

    public static TheoryData<EndPoint, string> BadEndPoints => new()
    {
        { new IPEndPoint(IPAddress.Loopback, 0), "IPEndPoint \"127.0.0.1:0\" has the port 0, which is not in the range 1 to 65,535. (Parameter 'endPoint')" },
        { new IPEndPoint(IPAddress.IPv6Any, 80), "IPEndPoint \"[::]:80\" has the host ::, which is an address to listen on, not one to connect to. (Parameter 'endPoint')" },
        { new DnsEndPoint("cache", 0), "DnsEndPoint \"Unspecified/cache:0\" has the port 0, which is not in the range 1 to 65,535. (Parameter 'endPoint')" },
        { new DnsEndPoint("cache", 80, AddressFamily.InterNetwork), "DnsEndPoint \"InterNetwork/cache:80\" asks for one address family: resolve the name and pass an IPEndPoint instead. (Parameter 'endPoint')" },
        { new DnsEndPoint("user:pw@cache", 80), "DnsEndPoint \"***@cache:80\" has more in it than a host and a port (a login is the work of a handshake hook). (Parameter 'endPoint')" },
        { new OtherEndPoint(), "OtherEndPoint \"other\" is of a type that cannot be dialed: pass an IPEndPoint, DnsEndPoint or UnixDomainSocketEndPoint. (Parameter 'endPoint')" },
    };

    [Theory]
    [MemberData(nameof(BadEndPoints), DisableDiscoveryEnumeration = true)]
    public void Bad_end_points_are_refused(EndPoint endPoint, string expected)
    {
        var e = Assert.Throws<ArgumentException>(() => EndpointAddress.FromEndPoint(endPoint));
        Assert.Equal(expected, e.Message);
    }

    private sealed class OtherEndPoint : EndPoint
    {
        public override string ToString() => "other";
    }
}
