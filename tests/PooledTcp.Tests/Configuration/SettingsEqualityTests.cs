using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

public class SettingsEqualityTests
{
    private static readonly string[] Base =
    [
        "Endpoints:a:Address=a:1", "Endpoints:b:Address=b:1", "Endpoints:b:Tls:Enabled=true",
        "Endpoints:b:Tls:ApplicationProtocols:0=h2", "Endpoints:b:Shutdown:Goodbye=redis",
        "Endpoints:b:Ports:SourceAddresses:0=10.0.0.5", "MaxClosing=100",
    ];

    [Fact]
    public void The_same_options_make_equal_settings()
    {
        var one = Bound.Settings(Base);
        var other = Bound.Settings(Base);

        Assert.Equal(one, other);
        Assert.Equal(one.GetHashCode(), other.GetHashCode());
        Assert.Equal(one.GetEndpoint("b").GetHashCode(), other.GetEndpoint("b").GetHashCode());
    }

    [Theory]
    [InlineData("Endpoints:a:MaxConnections=5")]
    [InlineData("Endpoints:a:LifetimeJitter=0.2")]
    [InlineData("Endpoints:a:KeepAlive:Interval=00:00:04")]
    [InlineData("Endpoints:b:Tls:ApplicationProtocols:1=resp")]
    [InlineData("Endpoints:b:Tls:TargetHost=other")]
    [InlineData("Endpoints:b:Tls:CheckRevocation=true")]
    [InlineData("Endpoints:b:Tls:Protocols=Tls13")]
    [InlineData("Endpoints:a:DnsRefreshInterval=00:00:31")]
    [InlineData("Endpoints:a:Health:FailuresToOpen=6")]
    [InlineData("Endpoints:a:Health:MaxBackoff=00:00:06")]
    [InlineData("Endpoints:a:Health:VerifyAfter=00:00:35")]
    [InlineData("Endpoints:a:Health:Probe=redis")]
    [InlineData("Endpoints:a:Health:ProbeInterval=00:00:31")]
    [InlineData("Endpoints:a:Health:ProbeTimeout=00:00:02")]

    [InlineData("Endpoints:a:RetentionPeriod=00:00:21")]
    [InlineData("Endpoints:a:Health:LeaseWarningAfter=00:01:00")]
    [InlineData("Endpoints:a:Health:CaptureLeaseStacks=true")]
    [InlineData("Endpoints:a:Shutdown:ClosesFirst=Server")]
    [InlineData("Endpoints:a:Shutdown:Goodbye=redis")]
    [InlineData("Endpoints:a:Shutdown:GoodbyeTimeout=00:00:02")]
    [InlineData("Endpoints:a:Shutdown:ServerCloseTimeout=00:00:02")]
    [InlineData("Endpoints:a:Shutdown:DrainTimeout=00:00:01")]
    [InlineData("Endpoints:a:Shutdown:AllowQuietClose=false")]
    [InlineData("Endpoints:a:Shutdown:AllowAbort=true")]
    [InlineData("Endpoints:a:Ports:Range=40000-40999")]
    [InlineData("Endpoints:b:Ports:SourceAddresses:1=10.0.0.6")]
    [InlineData("Endpoints:a:Ports:TimeWaitShare=0.2")]
    [InlineData("Endpoints:a:Ports:Budget=100")]
    [InlineData("Endpoints:c:Address=c:1")]
    [InlineData("Defaults:MaxConnections=5")]
    public void One_difference_makes_them_unequal(string line)
    {
        Assert.NotEqual(Bound.Settings(Base), Bound.Settings([.. Base, line]));
    }

    [Theory]
    [InlineData("ServerAddress=false")]
    [InlineData("LeaseSpans=true")]
    [InlineData("SocketCount=true")]
    public void Telemetry_counts(string setting) => Assert.NotEqual(Bound.Settings(), Bound.Settings("Telemetry:" + setting));

    [Fact]
    public void MaxClosing_counts()
    {
        Assert.NotEqual(Bound.Settings("MaxClosing=9"), Bound.Settings("MaxClosing=8"));
    }

    [Fact]
    public void MaxTotalConnections_counts()
    {
        Assert.NotEqual(Bound.Settings("MaxTotalConnections=9"), Bound.Settings("MaxTotalConnections=8"));
        Assert.NotEqual(Bound.Settings("MaxTotalConnections=9"), Bound.Settings("Endpoints:a:Address=a:1"));
    }

    [Fact]
    public void A_farewell_is_compared_by_its_bytes()
    {
        Assert.Equal(With("smtp"), With("pop3"));
        Assert.Equal(With("smtp"), With(@"raw:QUIT\x0d\n"));
        Assert.Equal(With("smtp").GetHashCode(), With(@"raw:QUIT\r\n").GetHashCode());
        Assert.NotEqual(With("smtp"), With("raw:QUIT"));

        static ClientSettings With(string goodbye) => Bound.Settings("Endpoints:a:Address=a:1", $"Endpoints:a:Shutdown:Goodbye={goodbye}");
    }

    [Fact]
    public void Another_name_for_the_same_place_is_another_endpoint()
    {
        Assert.NotEqual(Bound.Settings("Endpoints:a:Address=x:1"), Bound.Settings("Endpoints:b:Address=x:1"));
    }

    [Fact]
    public void Certificates_are_compared_by_their_bytes()
    {
        using var certificate = TestCertificates.WithKey();
        using var again = X509CertificateLoader.LoadCertificate(certificate.RawData);
        using var renewed = TestCertificates.WithKey();

        Assert.Equal(With(certificate), With(certificate));
        Assert.Equal(With(certificate), With(again));
        Assert.NotEqual(With(certificate), With(renewed));
        Assert.NotEqual(With(certificate), With(certificate, renewed));
        Assert.NotEqual(With(certificate), With() with { ClientCertificates = null });

        static TlsSettings With(params X509Certificate2[] certificates) => new()
        {
            TargetHost = "x",
            Protocols = default,
            ClientCertificates = new X509Certificate2Collection(certificates),
        };
    }

    [Fact]
    public void Validation_callbacks_are_compared_as_delegates()
    {
        var pin = "1";
        Assert.Equal(Accepting(), Accepting());
        Assert.NotEqual(Accepting(), With((_, _, _, _) => pin == "1"));

        // A lambda without captures is one cached delegate, also when its configure action runs again on reload.
        static TlsSettings Accepting() => With(static (_, _, _, errors) => errors == SslPolicyErrors.None);
        static TlsSettings With(RemoteCertificateValidationCallback validate) =>
            new() { TargetHost = "x", Protocols = default, Validate = validate };
    }

    [Theory]
    [InlineData("Endpoints:a:MaxConnections=5", true)]
    [InlineData("Endpoints:a:RentTimeout=00:00:01", true)]
    [InlineData("Endpoints:a:Lifetime=00:01:00", true)]
    [InlineData("Endpoints:a:DnsRefreshInterval=00:00:31", true)]
    [InlineData("Endpoints:a:Health:FailuresToOpen=6", true)]
    [InlineData("Endpoints:a:RetentionPeriod=00:00:21", true)]
    [InlineData("Endpoints:a:Health:LeaseWarningAfter=00:01:00", true)]
    [InlineData("Endpoints:a:Shutdown:ClosesFirst=Server", true)]
    [InlineData("Endpoints:a:Shutdown:Goodbye=redis", true)]
    [InlineData("Endpoints:a:Shutdown:DrainTimeout=00:00:01", true)]
    [InlineData("Endpoints:a:Ports:TimeWaitShare=0.2", true)]
    [InlineData("Endpoints:a:Ports:Budget=100", true)]
    [InlineData("Endpoints:a:Ports:Range=40000-40999", false)]
    [InlineData("Endpoints:a:Ports:SourceAddresses:0=10.0.0.5", false)]
    [InlineData("Endpoints:a:NoDelay=false", false)]
    [InlineData("Endpoints:a:UserTimeout=00:01:00", false)]
    [InlineData("Endpoints:a:Tls:Enabled=true", false)]
    public void Only_limits_may_change_below_live_connections(string line, bool shared)
    {
        var before = Bound.Settings("Endpoints:a:Address=a:1").GetEndpoint("a");
        var after = Bound.Settings("Endpoints:a:Address=a:1", line).GetEndpoint("a");

        Assert.Equal(shared, after.SharesConnectionsWith(before));
        Assert.NotEqual(before, after);
    }

    [Fact]
    public void Later_changes_to_the_options_do_not_reach_the_settings()
    {
        using var certificate = TestCertificates.WithKey();
        var options = new PooledTcpOptions().AddEndpoint("a", e =>
        {
            e.Address = "a:1";
            e.Tls.Enabled = true;
            e.Tls.ClientCertificates.Add(certificate);
        });
        var settings = SettingsFactory.Create(options);

        options.Endpoints["a"].Tls.ClientCertificates.Clear();
        options.Endpoints.Clear();

        Assert.Single(settings.GetEndpoint("a").Tls!.ClientCertificates!);
    }
}
