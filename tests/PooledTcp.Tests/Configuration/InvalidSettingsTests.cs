using Microsoft.Extensions.Options;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

/// <summary>Each row is one invalid setting and the exact line it gets, with the full path.</summary>
public class InvalidSettingsTests
{
    private const string Cache = "PooledTcp:Endpoints:cache";
    private const string LongName = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";

    public static TheoryData<string, string> Ranges => new()
    {
        { "MaxConnections=0", "0 is not in the range 1 to 1,000,000." },
        { "MaxConnections=-5", "-5 is not in the range 1 to 1,000,000." },
        { "MaxConnections=1000001", "1000001 is not in the range 1 to 1,000,000." },
        { "MinIdleConnections=-1", "-1 is not in the range 0 to 1,000,000." },
        { "MinIdleConnections=101", "101 is more than MaxConnections, which is 100." },
        { "MaxConnecting=0", "0 is not in the range 1 to 1,000,000." },
        { "MaxWaiters=-1", "-1 is not in the range 0 to 1,000,000. 0 makes every rent fail that would have to wait for others." },
        { "MaxUses=0", "0 is not in the range 1 to 2,147,483,647. Leave it out (null) for no limit." },
        { "RentTimeout=00:00:00", "00:00:00 is not in the range 00:00:00.001 to 01:00:00, or Infinite. TryRent takes a connection without waiting." },
        { "RentTimeout=-00:00:05", "-00:00:05 is not in the range 00:00:00.001 to 01:00:00, or Infinite. TryRent takes a connection without waiting." },
        { "RentTimeout=01:00:01", "01:00:01 is not in the range 00:00:00.001 to 01:00:00, or Infinite. TryRent takes a connection without waiting." },
        { "ConnectTimeout=00:00:00.0005", "00:00:00.0005 is not in the range 00:00:00.001 to 01:00:00." },
        { "ConnectTimeout=90.00:00:00", "90.00:00:00 is not in the range 00:00:00.001 to 01:00:00." },
        { "IdleTimeout=00:00:00", "00:00:00 is not in the range 00:00:00.1 to 1.00:00:00, or Infinite." },
        { "IdleTimeout=00:00:00.099", "00:00:00.099 is not in the range 00:00:00.1 to 1.00:00:00, or Infinite." },
        { "Lifetime=00:00:00.099", "00:00:00.099 is not in the range 00:00:00.1 to 30.00:00:00, or Infinite." },
        { "RetentionPeriod=00:00:00.5", "00:00:00.5 is not in the range 00:00:01 to 1.00:00:00, or Infinite." },
        { "RetentionPeriod=1.00:00:01", "1.00:00:01 is not in the range 00:00:01 to 1.00:00:00, or Infinite." },
        { "Health:LeaseWarningAfter=00:00:00", "00:00:00 is not in the range 00:00:01 to 1.00:00:00, or Infinite." },
        { "IdleTimeout=1.00:00:01", "1.00:00:01 is not in the range 00:00:00.1 to 1.00:00:00, or Infinite." },
        { "Lifetime=00:00:00", "00:00:00 is not in the range 00:00:00.1 to 30.00:00:00, or Infinite." },
        { "Lifetime=31.00:00:00", "31.00:00:00 is not in the range 00:00:00.1 to 30.00:00:00, or Infinite." },
        { "LifetimeJitter=10", "10 is not in the range 0 to 0.5. It is a fraction: 0.1 is 10 %." },
        { "LifetimeJitter=-0.1", "-0.1 is not in the range 0 to 0.5. It is a fraction: 0.1 is 10 %." },
        { "LifetimeJitter=NaN", "NaN is not in the range 0 to 0.5. It is a fraction: 0.1 is 10 %." },
        { "UserTimeout=00:00:34", "00:00:34 is less than KeepAlive Time + Interval x Count, which is 00:00:35: one lost probe would kill a healthy connection." },
        { "UserTimeout=-00:00:01", "-00:00:01 is not in the range 00:00:00.001 to 1.00:00:00. 00:00:00 leaves it to the kernel." },
        { "UserTimeout=2.00:00:00", "2.00:00:00 is not in the range 00:00:00.001 to 1.00:00:00. 00:00:00 leaves it to the kernel." },
        { "KeepAlive:Time=00:00:00", "00:00:00 is not in the range 00:00:01 to 09:06:07." },
        { "KeepAlive:Time=00:00:00.5", "00:00:00.5 is not in the range 00:00:01 to 09:06:07." },
        { "KeepAlive:Time=00:00:01.5", "00:00:01.5 is not in whole seconds, the kernel's unit." },
        { "KeepAlive:Interval=10:00:00", "10:00:00 is not in the range 00:00:01 to 09:06:07." },
        { "KeepAlive:Count=0", "0 is not in the range 1 to 127." },
        { "KeepAlive:Count=128", "128 is not in the range 1 to 127." },
        { "Tls:TargetHost=cache:6379", "\"cache:6379\" is neither a host name nor an IP address; it takes no port, no scheme, no brackets and no scope." },
        { "Tls:TargetHost=[::1]:443", "\"[::1]:443\" is neither a host name nor an IP address; it takes no port, no scheme, no brackets and no scope." },
        { "Tls:TargetHost=[::1]", "\"[::1]\" is neither a host name nor an IP address; it takes no port, no scheme, no brackets and no scope." },
        { "Tls:TargetHost=127.1", "\"127.1\" is neither a host name nor an IP address; it takes no port, no scheme, no brackets and no scope." },
        { "Tls:TargetHost=fe80::1%3", "\"fe80::1%3\" is neither a host name nor an IP address; it takes no port, no scheme, no brackets and no scope." },
        { "Tls:Protocols=Ssl3", "Ssl3 is not allowed: Tls12, Tls13 or both; None leaves the choice to the operating system." },
        { "Tls:Protocols=Tls11, Tls12", "Tls11, Tls12 is not allowed: Tls12, Tls13 or both; None leaves the choice to the operating system." },
        { "Tls:ClientCertificateKeyPath=/a.key", "is set without ClientCertificatePath." },
        { "Tls:ClientCertificatePassword=secret", "is set without ClientCertificatePath." },
        { "DnsRefreshInterval=00:00:00.5", "00:00:00.5 is not in the range 00:00:01 to 1.00:00:00, or Infinite." },
        { "Health:FailuresToOpen=0", "0 is not in the range 1 to 1,000,000." },
        { "Health:MaxBackoff=00:00:00.05", "00:00:00.05 is not in the range 00:00:00.1 to 01:00:00." },
        { "Health:MaxBackoff=02:00:00", "02:00:00 is not in the range 00:00:00.1 to 01:00:00." },
        { "Health:VerifyAfter=00:00:00.05", "00:00:00.05 is not in the range 00:00:00.1 to 1.00:00:00, or Infinite. Leave it out (null) for the keepalive total." },
        { "Health:ProbeInterval=00:00:00.5", "00:00:00.5 is not in the range 00:00:01 to 1.00:00:00." },
        { "Health:ProbeTimeout=00:00:00", "00:00:00 is not in the range 00:00:00.001 to 01:00:00." },
        { "Health:Probe=reddis", "\"reddis\" is not a known probe. Did you mean redis?" },
        { "Health:Probe=icmp", "\"icmp\" is not a known probe. Known are memcached, redis; write your own as raw: and its bytes, as in raw:PING\\r\\n." },
        { "Health:ProbeReply=raw:OK", "\"raw:OK\" is set without a raw: probe, whose answer it would be." },
        { "Shutdown:GoodbyeTimeout=00:00:00", "00:00:00 is not in the range 00:00:00.001 to 01:00:00." },
        { "Shutdown:GoodbyeTimeout=01:00:01", "01:00:01 is not in the range 00:00:00.001 to 01:00:00." },
        { "Shutdown:ServerCloseTimeout=00:00:00", "00:00:00 is not in the range 00:00:00.001 to 1.00:00:00." },
        { "Shutdown:ServerCloseTimeout=1.00:00:01", "1.00:00:01 is not in the range 00:00:00.001 to 1.00:00:00." },
        { "Shutdown:DrainTimeout=-00:00:01", "-00:00:01 is not in the range 00:00:00.001 to 01:00:00." },
        { "Shutdown:DrainTimeout=02:00:00", "02:00:00 is not in the range 00:00:00.001 to 01:00:00." },
        { "Shutdown:Goodbye=reddis", "\"reddis\" is not a known farewell. Did you mean redis?" },
        { "Shutdown:Goodbye=QUIT", @"""QUIT"" is not a known farewell. Known are ftp, imap, memcached, mysql, pop3, postgresql, redis, smtp, stomp; write your own as raw: and its bytes, as in raw:QUIT\r\n." },
        { "Shutdown:Goodbye=redis://u:secret@host", "\"redis://***@host\" is not a known farewell. Known are ftp, imap, memcached, mysql, pop3, postgresql, redis, smtp, stomp; write your own as raw: and its bytes, as in raw:QUIT\\r\\n." },
        { "Shutdown:Goodbye=raw:\u001b[2J\u0007\\\u001b", "\"raw:\\x1B[2J\\x07\\\\x1B\" has \\\\x1B at position 10: the escapes are \\r \\n \\t \\0 \\\\ and \\xHH." },
        { @"Shutdown:Goodbye=raw:QUIT\q", @"""raw:QUIT\q"" has \q at position 9: the escapes are \r \n \t \0 \\ and \xHH." },
        { "Shutdown:Goodbye=raw:a\r\n\\q", @"""raw:a\r\n\q"" has \q at position 8: the escapes are \r \n \t \0 \\ and \xHH." },
        { "Ports:Range=40000-", "\"40000-\" is not a range of ports: write the lowest and the highest one, as in 40000-40999." },
        { "Ports:Range=40000-70000", "\"40000-70000\" is not a range of ports: write the lowest and the highest one, as in 40000-40999." },
        { "Ports:Range=40000,40999", "\"40000,40999\" is not a range of ports: write the lowest and the highest one, as in 40000-40999." },
        { "Ports:Range=40999-40000", "\"40999-40000\" begins with the highest port: write 40000-40999." },
        { "Ports:Range=1000-2000", "1000-2000 is not in the range 1024-65535, and has to share ports with the system's (net.ipv4.ip_local_port_range, by default 32768-60999)." },
        { "Ports:SourceAddresses:0=", "\"\" is not an IP address: write 10.0.0.5 or 2001:db8::5, without a port." },
        { "Ports:SourceAddresses:0=10.0.5", "\"10.0.5\" is not an IP address: write 10.0.0.5 or 2001:db8::5, without a port." },
        { "Ports:SourceAddresses:0=[::1]:80", "\"[::1]:80\" is not an IP address: write 10.0.0.5 or 2001:db8::5, without a port." },
        { "Ports:SourceAddresses:0=eth0", "\"eth0\" is not an IP address: write 10.0.0.5 or 2001:db8::5, without a port." },
        { "Ports:SourceAddresses:0=0.0.0.0", "0.0.0.0 is the wildcard, which is no address to connect from. Leave the list empty to leave the choice to the system." },
        { "Ports:SourceAddresses:0=::", ":: is the wildcard, which is no address to connect from. Leave the list empty to leave the choice to the system." },
        { "Ports:TimeWaitShare=25", "25 is not in the range 0 to 1. It is a fraction: 0.25 is 25 %." },
        { "Ports:TimeWaitShare=-0.1", "-0.1 is not in the range 0 to 1. It is a fraction: 0.25 is 25 %." },
        { "Ports:TimeWaitShare=NaN", "NaN is not in the range 0 to 1. It is a fraction: 0.25 is 25 %." },
        { "Ports:Budget=0", "0 is not in the range 1 to 65,535. Leave it out (null) for what this host has." },
        { "Ports:Budget=65536", "65536 is not in the range 1 to 65,535. Leave it out (null) for what this host has." },
        { "Address=cache", "\"cache\" has no port: write cache:port." },
        { "Address=cache:0", "\"cache:0\" has the port 0, which is not in the range 1 to 65,535." },
        { "Address=tcp://cache:1", "\"tcp://cache:1\" is a URL: write the address without a scheme, as host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path." },
        { "Address=", "is required: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path." },
    };

    public static TheoryData<string, string> Malformed => new()
    {
        { "MaxConnections=abc", "\"abc\" is not a whole number." },
        { "MaxConnections=1.5", "\"1.5\" is not a whole number." },
        { "MaxConnections=99999999999", "\"99999999999\" is not a whole number." },
        { "MaxConnections=", "is empty; a whole number is expected." },
        { "MaxConnections:x=1", "is a section or a list; one value is expected." },
        { "MaxUses=none", "\"none\" is not a whole number." },
        { "AllowOneWay=yes", "\"yes\" is not true or false." },
        { "LifetimeJitter=10%", "\"10%\" is not a number (0.1 is 10 %)." },
        { "LifetimeJitter=0,10", "\"0,10\" is not a number (0.1 is 10 %)." },
        { "RentTimeout=5s", "\"5s\" is not a time (hh:mm:ss)." },
        { "ConnectTimeout=Infinite", "\"Infinite\" is not a time (hh:mm:ss)." },
        { "ConnectTimeout=90", "\"90\" means 90 days; write 00:01:30 for 90 seconds (hh:mm:ss), or 90.00:00:00 if days are meant." },
        { "RentTimeout=-1", "\"-1\" means -1 days; write 00:01:30 for 90 seconds (hh:mm:ss), or 1.00:00:00 if days are meant." },
        { "Lifetime=24:00:00", "\"24:00:00\" means 24 days; write 00:01:30 for 90 seconds (hh:mm:ss), or 24.00:00:00 if days are meant." },
        { "Tls:Protocols=Tls14", "\"Tls14\" is not one of None, Tls12, Tls13 or \"Tls12, Tls13\"." },
        { "Shutdown:ClosesFirst=Peer", "\"Peer\" is not one of Auto, Server, Client." },
        { "Shutdown:ClosesFirst=7", "\"7\" is not one of Auto, Server, Client." },
        { "Shutdown:ClosesFirst=1", "\"1\" is not one of Auto, Server, Client." },
        { "Shutdown:ClosesFirst=Auto, Client", "\"Auto, Client\" is not one of Auto, Server, Client." },
        { "Shutdown:ClosesFirst=", "is empty; one of Auto, Server, Client is expected." },
        { "Shutdown:AllowAbort=1", "\"1\" is not true or false." },
        { "Shutdown:DrainTimeout=Infinite", "\"Infinite\" is not a time (hh:mm:ss)." },
        { "Health=5", "is a value; a section is expected, with FailuresToOpen, MaxBackoff, VerifyAfter, Probe, ProbeReply, ProbeInterval, ProbeTimeout, LeaseWarningAfter, CaptureLeaseStacks." },
        { "Health:CaptureLeaseStacks=yes", "\"yes\" is not true or false." },
        { "Shutdown=Server", "is a value; a section is expected, with ClosesFirst, Goodbye, GoodbyeTimeout, ServerCloseTimeout, DrainTimeout, AllowQuietClose, AllowAbort." },
        { "Ports=40000-40999", "is a value; a section is expected, with Range, SourceAddresses, TimeWaitShare, Budget." },
        { "Ports:SourceAddresses=10.0.0.5", "\"10.0.0.5\" is a value; a list is expected, as in PooledTcp:Endpoints:cache:Ports:SourceAddresses:0." },
        { "Ports:Budget=some", "\"some\" is not a whole number." },
        { "KeepAlive=20", "is a value; a section is expected, with Time, Interval, Count." },
        { "Tls:ApplicationProtocols=h2", "\"h2\" is a value; a list is expected, as in PooledTcp:Endpoints:cache:Tls:ApplicationProtocols:0." },
    };

    public static TheoryData<string, string> UnknownKeys => new()
    {
        { "Endpoints:cache:MaxConections=8", "PooledTcp:Endpoints:cache:MaxConections: is not a setting. Did you mean MaxConnections?" },
        { "Endpoints:cache:Adress=x:1", "PooledTcp:Endpoints:cache:Adress: is not a setting. Did you mean Address?" },
        { "Endpoints:cache:Keepalive:Times=1", "PooledTcp:Endpoints:cache:Keepalive:Times: is not a setting. Did you mean Time?" },
        { "Endpoints:cache:Tls:Enable=true", "PooledTcp:Endpoints:cache:Tls:Enable: is not a setting. Did you mean Enabled?" },
        { "Defaults:RentTimeOuts=00:00:01", "PooledTcp:Defaults:RentTimeOuts: is not a setting. Did you mean RentTimeout?" },
        { "Default:MaxConnections=8", "PooledTcp:Default: is not a setting. Did you mean Defaults?" },
        { "cache:Address=cache:1", "PooledTcp:cache: is not a setting. Known here: MaxTotalConnections, MaxClosing, Telemetry, Defaults, Endpoints, Server." },
        { "Endpoints:cache:KeepAlive:Foo=1", "PooledTcp:Endpoints:cache:KeepAlive:Foo: is not a setting. Known here: Time, Interval, Count." },
        { "Endpoints=cache:1", "PooledTcp:Endpoints: is a value; a section is expected, with <name>." },
        { "Endpoints:other=cache:1", "PooledTcp:Endpoints:other: is a value; a section is expected, with Address, MaxConnections, MinIdleConnections, MaxConnecting, MaxWaiters, RentTimeout, ConnectTimeout, DnsRefreshInterval, IdleTimeout, RetentionPeriod, Lifetime, LifetimeJitter, MaxUses, AllowOneWay, NoDelay, UserTimeout, KeepAlive, Tls, Health, Shutdown, Ports." },
        { "MaxClosed=9", "PooledTcp:MaxClosed: is not a setting. Did you mean MaxClosing?" },
        { "MaxClosing=0", "PooledTcp:MaxClosing: 0 is not in the range 1 to 1,000,000." },
        { "MaxTotalConnections=0", "PooledTcp:MaxTotalConnections: 0 is not in the range 1 to 1,000,000. Leave it out (null) for no limit." },
        { "MaxTotalConnections=1000001", "PooledTcp:MaxTotalConnections: 1000001 is not in the range 1 to 1,000,000. Leave it out (null) for no limit." },
        { "MaxTotalConnections=most", "PooledTcp:MaxTotalConnections: \"most\" is not a whole number." },
        { "MaxTotalConnection=20", "PooledTcp:MaxTotalConnection: is not a setting. Did you mean MaxTotalConnections?" },
        { "Telemetry:LeaseSpans=often", "PooledTcp:Telemetry:LeaseSpans: \"often\" is not true or false." },
        { "Telemetry:LeaseSpan=true", "PooledTcp:Telemetry:LeaseSpan: is not a setting. Did you mean LeaseSpans?" },
        { "MaxClosing=many", "PooledTcp:MaxClosing: \"many\" is not a whole number." },
        { "Endpoints:cache:Shutdown:CloseFirst=Server", "PooledTcp:Endpoints:cache:Shutdown:CloseFirst: is not a setting. Did you mean ClosesFirst?" },
        { "Endpoints:cache:Ports:Sources:0=10.0.0.5", "PooledTcp:Endpoints:cache:Ports:Sources: is not a setting. Known here: Range, SourceAddresses, TimeWaitShare, Budget." },
        { "Defaults:Address=cache:1", "PooledTcp:Defaults:Address: \"cache:1\" stands in the defaults; an address belongs to an endpoint." },
    };

    [Theory]
    [MemberData(nameof(Ranges))]
    [MemberData(nameof(Malformed))]
    public void A_bad_value_gets_one_line_with_its_path(string line, string expected)
    {
        var setting = line[..line.IndexOf('=', StringComparison.Ordinal)];
        var lines = setting == "Address"
            ? new[] { $"Endpoints:cache:{line}" }
            : ["Endpoints:cache:Address=cache:6379", $"Endpoints:cache:{line}"];

        var path = setting == "MaxConnections:x" ? "MaxConnections" : setting;
        Assert.Equal([$"{Cache}:{path}: {expected}"], Bound.Faults(lines));
    }

    [Theory]
    [InlineData("cache.example.com")]
    [InlineData("10.0.0.7")]
    [InlineData("2001:db8::7")]
    public void A_target_host_is_a_name_or_a_literal(string host) =>
        Assert.Equal(host, Bound.Settings(
            "Endpoints:cache:Address=c:1", "Endpoints:cache:Tls:Enabled=true", $"Endpoints:cache:Tls:TargetHost={host}")
            .GetEndpoint("cache").Tls!.TargetHost);

    [Theory]
    [MemberData(nameof(UnknownKeys))]
    public void An_unknown_key_gets_one_line_and_a_guess(string line, string expected)
    {
        Assert.Contains(expected, Bound.Faults("Endpoints:cache:Address=cache:6379", line));
    }

    [Theory]
    [InlineData("", "is empty.")]
    [InlineData("h2,http/1.1", "\"h2,http/1.1\" contains a comma: each protocol is an item of the list.")]
    [InlineData(LongName + LongName + LongName + LongName, "is 312 bytes long; ALPN allows 255.")]
    [InlineData("h2", "\"h2\" is in the list twice.")]
    public void Bad_application_protocols(string name, string expected)
    {
        var faults = Bound.Faults(
            "Endpoints:cache:Address=cache:6379",
            "Endpoints:cache:Tls:ApplicationProtocols:0=h2",
            $"Endpoints:cache:Tls:ApplicationProtocols:1={name}");

        Assert.Equal([$"{Cache}:Tls:ApplicationProtocols:1: {expected}"], faults);
    }

    [Theory]
    [InlineData("", "is no name for an endpoint: it is empty.")]
    [InlineData(" ", "is no name for an endpoint: it is empty.")]
    [InlineData("a:b", "is no name for an endpoint: a colon separates the parts of a configuration path.")]
    [InlineData("cache ", "is no name for an endpoint: it has a control character or a space around it.")]
    [InlineData("ca\nche", "is no name for an endpoint: it has a control character or a space around it.")]
    public void Bad_endpoint_names(string name, string expected)
    {
        var options = new PooledTcpOptions();
        options.Endpoints[name] = new TcpEndpointOptions { Address = "cache:6379" };

        Assert.False(SettingsFactory.TryCreate(options, out _, out var faults));
        Assert.Equal([$"PooledTcp:Endpoints: \"{name}\" {expected}"], faults);
    }

    [Fact]
    public void A_null_endpoint_is_a_fault()
    {
        var options = new PooledTcpOptions();
        options.Endpoints["cache"] = null!;

        Assert.False(SettingsFactory.TryCreate(options, out _, out var faults));
        Assert.Equal([$"{Cache}: is null."], faults);
    }

    [Fact]
    public void An_endpoint_needs_an_address()
    {
        Assert.Equal(
            [$"{Cache}:Address: is required: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path."],
            Bound.Faults("Endpoints:cache:MaxConnections=8"));
    }

    [Fact]
    public void Tls_over_a_unix_socket_needs_a_target_host()
    {
        Assert.Equal(
            [$"{Cache}:Tls:TargetHost: is required: a unix socket has no host name to verify."],
            Bound.Faults("Endpoints:cache:Address=unix:/run/x", "Endpoints:cache:Tls:Enabled=true"));
    }

    [Fact]
    public void A_side_from_code_that_has_no_name_is_a_fault()
    {
        var options = new PooledTcpOptions().AddEndpoint("cache", static e =>
        {
            e.Address = "cache:6379";
            e.Shutdown.ClosesFirst = (ClosesFirst)7;
        });

        Assert.False(SettingsFactory.TryCreate(options, out _, out var faults));
        Assert.Equal([$"{Cache}:Shutdown:ClosesFirst: 7 is not one of Auto, Server, Client."], faults);
    }

    [Fact]
    public void A_client_certificate_from_two_places_is_a_fault()
    {
        var options = new PooledTcpOptions().AddEndpoint("cache", static e =>
        {
            e.Address = "cache:6379";
            e.Tls.ClientCertificatePath = "/somewhere.pfx";
            e.Tls.ClientCertificates.Add(TestCertificates.WithoutKey());
        });

        Assert.False(SettingsFactory.TryCreate(options, out _, out var faults));
        Assert.Equal(
            [
                $"{Cache}:Tls:ClientCertificatePath: is set together with ClientCertificates: one of them has to go.",
                $"{Cache}:Tls:ClientCertificates: has no certificate with a private key.",
            ],
            faults);
    }

    [Fact]
    public void Code_is_held_to_the_same_rules()
    {
        var options = new PooledTcpOptions().AddEndpoint("cache", static e =>
        {
            e.Address = "cache:6379";
            e.ConnectTimeout = Timeout.InfiniteTimeSpan;
            e.Lifetime = TimeSpan.MaxValue;
        });

        var e = Assert.ThrowsAny<OptionsValidationException>(() => SettingsFactory.Create(options));
        Assert.Equal(
            [
                $"{Cache}:ConnectTimeout: Infinite is not in the range 00:00:00.001 to 01:00:00.",
                $"{Cache}:Lifetime: 10675199.02:48:05.4775807 is not in the range 00:00:00.1 to 30.00:00:00, or Infinite.",
            ],
            e.Failures);
    }

    [Fact]
    public void Absurd_keepalive_values_do_not_overflow_the_sum()
    {
        var options = new PooledTcpOptions();
        options.Defaults.KeepAlive.Interval = TimeSpan.MaxValue;
        options.Defaults.KeepAlive.Count = int.MaxValue;
        options.AddEndpoint("cache", static e => e.Address = "cache:6379");

        Assert.False(SettingsFactory.TryCreate(options, out _, out var faults));
        Assert.Equal(2, faults.Count);
    }
}
