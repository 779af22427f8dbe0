using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Reflection;
using System.Security.Authentication;
using System.Text;
using Microsoft.Extensions.Configuration;
using PooledTcp.Configuration;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Configuration;

public class OptionsBindingTests
{
    private static readonly Type[] Parts =
        [typeof(TcpKeepAliveOptions), typeof(TcpTlsOptions), typeof(TcpHealthOptions), typeof(TcpShutdownOptions), typeof(TcpPortOptions)];

    [Fact]
    public void Defaults_are_those_of_the_design()
    {
        var options = new TcpEndpointOptions();

        Assert.Null(options.Address);
        Assert.Equal(100, options.MaxConnections);
        Assert.Equal(0, options.MinIdleConnections);
        Assert.Equal(4, options.MaxConnecting);
        Assert.Equal(1000, options.MaxWaiters);
        Assert.Equal(TimeSpan.FromSeconds(5), options.RentTimeout);
        Assert.Equal(TimeSpan.FromSeconds(3), options.ConnectTimeout);
        Assert.Equal(TimeSpan.FromSeconds(90), options.IdleTimeout);
        Assert.Equal(TimeSpan.FromMinutes(30), options.Lifetime);
        Assert.Equal(0.10, options.LifetimeJitter);
        Assert.Null(options.MaxUses);
        Assert.False(options.AllowOneWay);
        Assert.True(options.NoDelay);
        Assert.Equal(TimeSpan.FromSeconds(35), options.UserTimeout);
        Assert.Equal(TimeSpan.FromSeconds(20), options.KeepAlive.Time);
        Assert.Equal(TimeSpan.FromSeconds(5), options.KeepAlive.Interval);
        Assert.Equal(3, options.KeepAlive.Count);
        Assert.False(options.Tls.Enabled);
        Assert.Equal(SslProtocols.None, options.Tls.Protocols);
        Assert.False(options.Tls.CheckRevocation);
        Assert.Null(options.Tls.RemoteCertificateValidationCallback);
        Assert.Equal(ClosesFirst.Auto, options.Shutdown.ClosesFirst);
        Assert.Null(options.Shutdown.Goodbye);
        Assert.Null(options.Shutdown.GoodbyeProvider);
        Assert.Equal(TimeSpan.FromSeconds(1), options.Shutdown.GoodbyeTimeout);
        Assert.Equal(TimeSpan.FromSeconds(75), options.Shutdown.ServerCloseTimeout);
        Assert.Equal(TimeSpan.FromSeconds(30), options.DnsRefreshInterval);
        Assert.Equal(5, options.Health.FailuresToOpen);
        Assert.Equal(TimeSpan.FromSeconds(5), options.Health.MaxBackoff);
        Assert.Equal(TimeSpan.FromSeconds(2), options.Shutdown.DrainTimeout);
        Assert.True(options.Shutdown.AllowQuietClose);
        Assert.False(options.Shutdown.AllowAbort);
        Assert.Null(options.Ports.Range);
        Assert.Empty(options.Ports.SourceAddresses);
        Assert.Equal(0.25, options.Ports.TimeWaitShare);
        Assert.Null(options.Ports.Budget);
        Assert.Equal(256, new PooledTcpOptions().MaxClosing);
    }

    [Fact]
    public void Every_setting_binds_and_reaches_the_pool()
    {
        var settings = Bound.Settings(
            "Endpoints:cache:Address=cache:6379",
            "Endpoints:cache:MaxConnections=50",
            "Endpoints:cache:MinIdleConnections=2",
            "Endpoints:cache:MaxConnecting=8",
            "Endpoints:cache:MaxWaiters=0",
            "Endpoints:cache:RentTimeout=infinite",
            "Endpoints:cache:ConnectTimeout=00:00:01.5",
            "Endpoints:cache:IdleTimeout=Infinite",
            "Endpoints:cache:Lifetime=2.00:00:00",
            "Endpoints:cache:LifetimeJitter=0.25",
            "Endpoints:cache:MaxUses=1000",
            "Endpoints:cache:AllowOneWay=true",
            "Endpoints:cache:NoDelay=false",
            "Endpoints:cache:UserTimeout=0",
            "Endpoints:cache:KeepAlive:Time=00:01:00",
            "Endpoints:cache:KeepAlive:Interval=00:00:10",
            "Endpoints:cache:KeepAlive:Count=5",
            "Endpoints:cache:Tls:Enabled=true",
            "Endpoints:cache:Tls:TargetHost=name.example",
            "Endpoints:cache:Tls:Protocols=Tls12, Tls13",
            "Endpoints:cache:Tls:ApplicationProtocols:0=h2",
            "Endpoints:cache:Tls:ApplicationProtocols:1=resp",
            "Endpoints:cache:Tls:CheckRevocation=true",
            "Endpoints:cache:DnsRefreshInterval=infinite",
            "Endpoints:cache:Health:FailuresToOpen=3",
            "Endpoints:cache:Health:MaxBackoff=00:00:01",
            "Endpoints:cache:Shutdown:ClosesFirst=server",
            "Endpoints:cache:Shutdown:Goodbye=Redis",
            "Endpoints:cache:Shutdown:GoodbyeTimeout=00:00:03",
            "Endpoints:cache:Shutdown:ServerCloseTimeout=00:05:00",
            "Endpoints:cache:Shutdown:DrainTimeout=00:00:04",
            "Endpoints:cache:Shutdown:AllowQuietClose=false",
            "Endpoints:cache:Shutdown:AllowAbort=true",
            "Endpoints:cache:Ports:Range=40000-40999",
            "Endpoints:cache:Ports:SourceAddresses:0=10.0.0.5",
            "Endpoints:cache:Ports:SourceAddresses:1=::ffff:10.0.0.6",
            "Endpoints:cache:Ports:TimeWaitShare=0.5",
            "Endpoints:cache:Ports:Budget=500").GetEndpoint("CACHE");

        Assert.Equal(
            new PoolSettings
            {
                Address = new EndpointAddress { Host = "cache", Port = 6379, IsUnix = false },
                MaxConnections = 50,
                MinIdleConnections = 2,
                MaxConnecting = 8,
                MaxWaiters = 0,
                RentTimeout = Timeout.InfiniteTimeSpan,
                ConnectTimeout = TimeSpan.FromSeconds(1.5),
                DnsRefreshInterval = Timeout.InfiniteTimeSpan,
                IdleTimeout = Timeout.InfiniteTimeSpan,
                Lifetime = TimeSpan.FromDays(2),
                LifetimeJitter = 0.25,
                MaxUses = 1000,
                AllowOneWay = true,
                Socket = new SocketSettings(false, TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(10), 5, TimeSpan.Zero),
                Tls = new TlsSettings
                {
                    TargetHost = "name.example",
                    Protocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                    ApplicationProtocols = "h2,resp",
                    RevocationMode = System.Security.Cryptography.X509Certificates.X509RevocationMode.Online,
                },
                Health = new HealthSettings { FailuresToOpen = 3, MaxBackoff = TimeSpan.FromSeconds(1) },
                Shutdown = new ShutdownSettings
                {
                    ClosesFirst = ClosesFirst.Server,
                    Goodbye = new GoodbyeBytes("*1\r\n$4\r\nQUIT\r\n"u8.ToArray()),
                    GoodbyeTimeout = TimeSpan.FromSeconds(3),
                    ServerCloseTimeout = TimeSpan.FromMinutes(5),
                    DrainTimeout = TimeSpan.FromSeconds(4),
                    AllowQuietClose = false,
                    AllowAbort = true,
                },
                Ports = new PortPolicy
                {
                    Range = new PortRange(40000, 40999),
                    SourceAddresses = [IPAddress.Parse("10.0.0.5"), IPAddress.Parse("10.0.0.6")],
                    TimeWaitShare = 0.5,
                    Budget = 500,
                },
            },
            settings);
    }

    [Fact]
    public void Every_public_setting_can_be_bound()
    {
        // Code only, and said so in their documentation.
        string[] codeOnly =
            [
                "Tls:ClientCertificates", "Tls:RemoteCertificateValidationCallback", "Shutdown:GoodbyeProvider", "Handshake", "Reset",
                "ConnectCallback",
            ];

        var settings = Settings(typeof(TcpEndpointOptions), "").Except(codeOnly);

        Assert.Equal(settings.Order(StringComparer.Ordinal), EndpointBinder.Paths.Order(StringComparer.Ordinal));

        static IEnumerable<string> Settings(Type type, string prefix) =>
            type.GetProperties(BindingFlags.Public | BindingFlags.Instance).SelectMany(property =>
                Parts.Contains(property.PropertyType)
                    ? Settings(property.PropertyType, $"{prefix}{property.Name}:")
                    : [prefix + property.Name]);
    }

    [Fact]
    public void An_endpoint_inherits_the_defaults_and_overrides_them()
    {
        var settings = Bound.Settings(
            "Endpoints:a:Address=a:1",
            "Endpoints:b:Address=b:1",
            "Endpoints:b:MaxConnections=7",
            "Endpoints:b:KeepAlive:Count=2",
            "Endpoints:b:Tls:Enabled=false",
            "Defaults:MaxConnections=20",
            "Defaults:KeepAlive:Time=00:00:10",
            "Defaults:Tls:Enabled=true",
            "Defaults:Shutdown:Goodbye=smtp",
            "Defaults:Shutdown:DrainTimeout=00:00:05",
            "Defaults:Ports:Budget=500",
            "Endpoints:b:Shutdown:Goodbye=",
            "Endpoints:b:Ports:TimeWaitShare=0.1");

        var a = settings.GetEndpoint("a");
        var b = settings.GetEndpoint("b");
        Assert.Equal((20, 7), (a.MaxConnections, b.MaxConnections));
        Assert.Equal((TimeSpan.FromSeconds(10), 3), (a.Socket.KeepAliveTime, a.Socket.KeepAliveCount));
        Assert.Equal((TimeSpan.FromSeconds(10), 2), (b.Socket.KeepAliveTime, b.Socket.KeepAliveCount));
        Assert.Equal("a", a.Tls!.TargetHost);
        Assert.Null(b.Tls);
        Assert.Equal(new GoodbyeBytes("QUIT\r\n"u8.ToArray()), a.Shutdown.Goodbye);
        Assert.True(b.Shutdown.Goodbye.IsEmpty);
        Assert.Equal((TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5)), (a.Shutdown.DrainTimeout, b.Shutdown.DrainTimeout));
        Assert.Equal((500, 0.25, 500, 0.1), (a.Ports.Budget, a.Ports.TimeWaitShare, b.Ports.Budget, b.Ports.TimeWaitShare));
    }

    [Fact]
    public void A_list_replaces_the_inherited_one()
    {
        var options = Bound.Options(
            "Defaults:Tls:ApplicationProtocols:0=h2",
            "Defaults:Tls:ApplicationProtocols:1=http/1.1",
            "Endpoints:same:Address=a:1",
            "Endpoints:own:Tls:ApplicationProtocols:0=resp",
            "Defaults:Ports:SourceAddresses:0=10.0.0.5",
            "Defaults:Ports:SourceAddresses:1=10.0.0.6",
            "Endpoints:own:Ports:SourceAddresses:0=10.0.0.7");

        Assert.Equal(["h2", "http/1.1"], options.Endpoints["same"].Tls.ApplicationProtocols);
        Assert.Equal(["resp"], options.Endpoints["own"].Tls.ApplicationProtocols);
        Assert.Equal(["10.0.0.5", "10.0.0.6"], options.Endpoints["same"].Ports.SourceAddresses);
        Assert.Equal(["10.0.0.7"], options.Endpoints["own"].Ports.SourceAddresses);
    }

    [Fact]
    public void Json_null_empty_objects_and_empty_lists_are_understood()
    {
        const string Json = """
            {
              "PooledTcp": {
                "Defaults": { "MaxUses": 5, "Tls": { "TargetHost": "x", "ApplicationProtocols": [ "h2" ] } },
                "Endpoints": {
                  "cache": {
                    "Address": "cache:6379",
                    "MaxUses": null,
                    "KeepAlive": {},
                    "Tls": { "TargetHost": null, "ApplicationProtocols": [] }
                  }
                }
              }
            }
            """;
        var options = new PooledTcpOptions();
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(Json));
        new PooledTcpSection(new ConfigurationBuilder().AddJsonStream(stream).Build().GetSection("PooledTcp")).Configure(options);

        Assert.Empty(options.BindingFaults);
        var cache = options.Endpoints["cache"];
        Assert.Null(cache.MaxUses);
        Assert.Null(cache.Tls.TargetHost);
        Assert.Empty(cache.Tls.ApplicationProtocols);
        Assert.Equal(3, cache.KeepAlive.Count);
    }

    [Fact]
    public void A_copy_shares_nothing_with_the_defaults()
    {
        var options = new PooledTcpOptions();
        options.Defaults.Tls.ApplicationProtocols.Add("h2");
        options.Defaults.Ports.SourceAddresses.Add("10.0.0.5");
        using var certificate = TestCertificates.WithKey();
        options.Defaults.Tls.ClientCertificates.Add(certificate);
        options.AddEndpoint("cache", static _ => { });
        options.Defaults.MaxConnections = 1;
        options.Defaults.KeepAlive.Count = 1;
        options.Defaults.Tls.Enabled = true;
        options.Defaults.Tls.ApplicationProtocols.Clear();
        options.Defaults.Tls.ClientCertificates.Clear();
        options.Defaults.Shutdown.AllowAbort = true;
        options.Defaults.Ports.SourceAddresses.Clear();

        var cache = options.Endpoints["cache"];
        Assert.Equal(100, cache.MaxConnections);
        Assert.Equal(3, cache.KeepAlive.Count);
        Assert.False(cache.Tls.Enabled);
        Assert.Equal(["h2"], cache.Tls.ApplicationProtocols);
        Assert.Equal([certificate], cache.Tls.ClientCertificates);
        Assert.False(cache.Shutdown.AllowAbort);
        Assert.Equal(["10.0.0.5"], cache.Ports.SourceAddresses);
    }

    [Fact]
    public void A_copy_has_every_setting()
    {
        // Sets every scalar to something else by reflection, so that a new setting cannot be forgotten in Clone.
        var original = new TcpEndpointOptions();
        foreach (var part in PartsOf(original))
        {
            foreach (var property in part.GetType().GetProperties().Where(static p => p.SetMethod is { IsPublic: true }))
            {
                property.SetValue(part, Another(property.PropertyType, property.GetValue(part)));
            }
        }

        var copy = original.Clone();

        foreach (var (one, other) in PartsOf(original).Zip(PartsOf(copy)))
        {
            foreach (var property in one.GetType().GetProperties().Where(static p => p.SetMethod is { IsPublic: true }))
            {
                Assert.Equal(property.GetValue(one), property.GetValue(other));
            }
        }

        static object[] PartsOf(TcpEndpointOptions o) => [o, o.KeepAlive, o.Tls, o.Health, o.Shutdown, o.Ports];

        static object Another(Type type, object? value) => value switch
        {
            int number => number + 1,
            bool flag => !flag,
            double number => number + 1,
            TimeSpan time => time + TimeSpan.FromSeconds(1),
            SslProtocols => SslProtocols.Tls13,
            ClosesFirst => ClosesFirst.Client,
            _ when type == typeof(string) => "another",
            _ when type == typeof(int?) => 77,
            _ when type == typeof(ITcpHandshake) || type == typeof(ITcpReset) || type == typeof(IGoodbye) => new Hook(),
            _ when type == typeof(Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>) =>
                new Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>(
                    static (_, _) => ValueTask.FromException<Socket>(new NotSupportedException())),
            _ => new RemoteCertificateValidationCallback(static (_, _, _, errors) => errors == SslPolicyErrors.None),
        };
    }

    [Fact]
    public void MaxClosing_stands_directly_under_the_section()
    {
        Assert.Equal(256, Bound.Settings("Endpoints:a:Address=a:1").MaxClosing);
        Assert.Equal(9, Bound.Settings("MaxClosing=9").MaxClosing);
    }

    [Theory]
    [InlineData(@"raw:\\x58\\x00\\x00\\x00\\x04", new byte[] { 0x58, 0, 0, 0, 4 })]
    [InlineData(@"raw:QUIT\\r\\n", new byte[] { (byte)'Q', (byte)'U', (byte)'I', (byte)'T', 13, 10 })]
    [InlineData(@"raw:QUIT\r\n", new byte[] { (byte)'Q', (byte)'U', (byte)'I', (byte)'T', 13, 10 })]
    public void A_farewell_in_json(string text, byte[] expected)
    {
        // The third one has its line end from JSON: what it means is plain.
        var json = $$$"""{ "PooledTcp": { "Endpoints": { "x": { "Address": "x:1", "Shutdown": { "Goodbye": "{{{text}}}" } } } } }""";
        var options = new PooledTcpOptions();
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(json));
        new PooledTcpSection(new ConfigurationBuilder().AddJsonStream(stream).Build().GetSection("PooledTcp")).Configure(options);

        Assert.Equal(new GoodbyeBytes(expected), SettingsFactory.Create(options).GetEndpoint("x").Shutdown.Goodbye);
    }

    [Fact]
    public void AddEndpoint_goes_on_with_the_one_that_is_there()
    {
        var options = new PooledTcpOptions()
            .AddEndpoint("cache", static e => e.MaxConnections = 7)
            .AddEndpoint("CACHE", static e => e.MaxWaiters = 8);

        var cache = Assert.Single(options.Endpoints).Value;
        Assert.Equal((7, 8), (cache.MaxConnections, cache.MaxWaiters));
        Assert.Throws<ArgumentException>(() => options.AddEndpoint(" ", static _ => { }));
        Assert.Throws<ArgumentNullException>(() => options.AddEndpoint("x", null!));
    }

    [Theory]
    [InlineData("cache.example.com.:443", "cache.example.com")]
    [InlineData("[fe80::1%3]:443", "fe80::1")]
    [InlineData("10.0.0.1:443", "10.0.0.1")]
    public void The_target_host_is_the_name_a_certificate_has(string address, string expected)
    {
        var settings = Bound.Settings($"Endpoints:x:Address={address}", "Endpoints:x:Tls:Enabled=true");
        Assert.Equal(expected, settings.GetEndpoint("x").Tls!.TargetHost);
    }

    [Fact]
    public void Ad_hoc_endpoints_run_on_the_defaults()
    {
        var settings = Bound.Settings("Defaults:MaxConnections=9", "Defaults:MinIdleConnections=2", "Defaults:Tls:Enabled=true");

        var adHoc = settings.ForAdHoc(EndpointAddress.Parse("Device-7:9000"));

        Assert.Equal("device-7:9000", adHoc.Address.ToString());
        Assert.Equal(9, adHoc.MaxConnections);
        Assert.Equal("device-7", adHoc.Tls!.TargetHost);
        // An ad hoc pool that kept connections would never be unused, and never remove itself.
        Assert.Equal(0, adHoc.MinIdleConnections);
        var e = Assert.Throws<ArgumentException>(() => settings.ForAdHoc(EndpointAddress.Parse("unix:/run/x")));
        Assert.StartsWith("PooledTcp:Defaults:Tls:TargetHost is required to speak TLS with unix:/run/x:", e.Message, StringComparison.Ordinal);
        Assert.Equal(
            "name.example",
            Bound.Settings("Defaults:Tls:Enabled=true", "Defaults:Tls:TargetHost=name.example")
                .ForAdHoc(EndpointAddress.Parse("unix:/run/x")).Tls!.TargetHost);
    }

    [Fact]
    public void An_unknown_endpoint_is_answered_with_those_there_are()
    {
        var settings = Bound.Settings("Endpoints:gateway:Address=g:1", "Endpoints:Cache:Address=c:1");
        Assert.Equal(
            "No endpoint \"cash\" is configured under PooledTcp:Endpoints. Configured: Cache, gateway. (Parameter 'endpoint')",
            Assert.Throws<ArgumentException>(() => settings.GetEndpoint("cash")).Message);
        Assert.Equal(
            "No endpoint \"cash\" is configured under PooledTcp:Endpoints. Configured: none. (Parameter 'endpoint')",
            Assert.Throws<ArgumentException>(() => Bound.Settings().GetEndpoint("cash")).Message);
    }

    private sealed class Hook : ITcpHandshake, ITcpReset, IGoodbye
    {
        public ReadOnlyMemory<byte> GetFarewell(object? session) => default;

        public ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken) => default;

        public ValueTask ResetAsync(TcpLease connection, CancellationToken cancellationToken) => default;
    }
}
