using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

/// <summary>How faults are told: all of them in one message, each once and with its path, and no secret among them.</summary>
public sealed class FaultMessageTests
{
    private const string Cache = "PooledTcp:Endpoints:cache";

    [Fact]
    public void Every_fault_of_every_kind_is_in_one_message()
    {
        var e = Assert.ThrowsAny<OptionsValidationException>(static () => Bound.Settings(
            "Endpoints:cache:MaxConnections=0",
            "Endpoints:cache:RentTimeout=abc",
            "Endpoints:gateway:Address=gateway:9000",
            "Endpoints:gateway:MaxConections=8",
            "Endpoints:gateway:UserTimeout=00:00:01",
            "Defaults:MaxConnecting=0"));

        Assert.Equal(
            """
            6 settings are not valid:
              PooledTcp:Defaults:MaxConnecting: 0 is not in the range 1 to 1,000,000.
              PooledTcp:Endpoints:cache:Address: is required: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path.
              PooledTcp:Endpoints:cache:MaxConnections: 0 is not in the range 1 to 1,000,000.
              PooledTcp:Endpoints:cache:RentTimeout: "abc" is not a time (hh:mm:ss).
              PooledTcp:Endpoints:gateway:MaxConections: is not a setting. Did you mean MaxConnections?
              PooledTcp:Endpoints:gateway:UserTimeout: 00:00:01 is less than KeepAlive Time + Interval x Count, which is 00:00:35: one lost probe would kill a healthy connection.
            """.ReplaceLineEndings("\n"),
            e.Message);
        Assert.Equal(6, e.Failures.Count());
        Assert.Equal(typeof(PooledTcpOptions), e.OptionsType);
    }

    [Fact]
    public void A_fault_of_the_defaults_is_not_repeated_for_each_endpoint()
    {
        Assert.Equal(
            ["PooledTcp:Defaults:MaxConnections: 0 is not in the range 1 to 1,000,000."],
            Bound.Faults("Defaults:MaxConnections=0", "Endpoints:a:Address=a:1", "Endpoints:b:Address=b:1"));
    }

    [Fact]
    public void The_path_is_that_of_the_section()
    {
        var section = new ConfigurationBuilder()
            .AddInMemoryCollection([new("Shop:Pools:Endpoints:cache:Address", "cache")]).Build().GetSection("Shop:Pools");
        var options = new PooledTcpOptions();
        new PooledTcpSection(section).Configure(options);

        Assert.False(SettingsFactory.TryCreate(options, out _, out var faults));
        Assert.Equal(["Shop:Pools:Endpoints:cache:Address: \"cache\" has no port: write cache:port."], faults);
    }

    [Fact]
    public void A_section_that_is_bound_twice_tells_its_faults_once()
    {
        var options = new PooledTcpOptions();
        var section = new PooledTcpSection(Bound.Section("Endpoints:cache:Address=cache:1", "Endpoints:cache:MaxWaiters=x"));
        section.Configure(options);
        section.Configure(options);

        Assert.False(SettingsFactory.TryCreate(options, out _, out var faults));
        Assert.Equal([$"{Cache}:MaxWaiters: \"x\" is not a whole number."], faults);
    }

    [Theory]
    [InlineData("Endpoints:cache:Address=redis://:hunter2@10.0.0.7:6379")]
    [InlineData("Endpoints:cache:Address=redis://10.0.0.7:6379?password=hunter2")]
    [InlineData("Endpoints:cache:Address=user:hunter2@host:1")]
    [InlineData("Endpoints:cache:Address=user:hunter2@host")]
    [InlineData("Endpoints:cache:Address=hunter2@host")]
    [InlineData("Endpoints:cache:Address=hunter2@host:1")]
    [InlineData("Endpoints:cache:Address=user:p@hunter2@[::1]:1")]
    [InlineData("Endpoints:cache:Address=[user:hunter2@::1]:1")]
    [InlineData("Endpoints:cache:Address=host:1,password=hunter2")]
    [InlineData("Endpoints:cache:Address=Server=host;Password=hunter2")]
    [InlineData("Endpoints:cache=user:hunter2@host:1")]
    [InlineData("Endpoints:cache:Tls=hunter2")]
    [InlineData("Endpoints:cache:Tls:TargetHost=user:hunter2@host")]
    [InlineData("Defaults:Address=user:hunter2@host:1")]
    [InlineData("Defaults=hunter2")]
    public void A_secret_in_a_wrong_place_is_not_repeated(string line)
    {
        var faults = Bound.Faults(line);

        Assert.Contains(faults, fault => fault.StartsWith("PooledTcp:" + line.Split('=')[0], StringComparison.Ordinal));
        Assert.DoesNotContain(faults, static fault => fault.Contains("hunter2", StringComparison.Ordinal));
    }

    [Fact]
    public void A_farewell_as_long_as_a_file_does_not_fill_the_message()
    {
        var fault = Assert.Single(Bound.Faults("Endpoints:cache:Address=cache:6379", "Endpoints:cache:Shutdown:Goodbye=raw:" + new string('x', 100_000)));

        Assert.Equal(
            $"{Cache}:Shutdown:Goodbye: \"raw:{new string('x', 96)}...\" is 100,000 bytes long; a farewell has 1,024 at most.",
            fault);
    }
}
