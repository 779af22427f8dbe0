using Microsoft.Extensions.Options;
using PooledTcp.Configuration;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Configuration;

/// <summary>Source addresses, ranges and shares that could not work: with the address they are for, or on this host.</summary>
public sealed class InvalidPortSettingsTests
{
    private const string Cache = "PooledTcp:Endpoints:cache";

    [Theory]
    [InlineData("cache:6379", "10.0.0.5", "10.0.0.5", "1: 10.0.0.5 is in the list twice.")]
    [InlineData("cache:6379", "10.0.0.5", "::ffff:10.0.0.5", "1: 10.0.0.5 is in the list twice.")]
    [InlineData("cache:6379", "10.0.0.5", "2001:db8::5", "1: 2001:db8::5 is IPv6 and 10.0.0.5 is IPv4: all addresses of the list have to be of one kind.")]
    [InlineData("[2001:db8::7]:1", "2001:db8::5", "010.0.0.5", "1: \"010.0.0.5\" is not an IP address: write 10.0.0.5 or 2001:db8::5, without a port.")]
    [InlineData("[2001:db8::7]:1", "10.0.0.5", "2001:db8::5", "0: 10.0.0.5 is IPv4, from which [2001:db8::7]:1 cannot be reached.")]
    public void Bad_source_addresses(string address, string first, string second, string expected)
    {
        var faults = Bound.Faults(
            $"Endpoints:cache:Address={address}",
            $"Endpoints:cache:Ports:SourceAddresses:0={first}",
            $"Endpoints:cache:Ports:SourceAddresses:1={second}");

        Assert.Equal([$"{Cache}:Ports:SourceAddresses:{expected}"], faults);
    }

    [Fact]
    public void A_unix_socket_does_not_mind_inherited_source_addresses()
    {
        Assert.Empty(Bound.Faults("Defaults:Ports:SourceAddresses:0=10.0.0.5", "Endpoints:cache:Address=unix:/run/x"));
    }

    [Theory]
    [InlineData("Ports:TimeWaitShare=0", "0 of 28,232 ports is less than one TIME-WAIT")]
    [InlineData("Ports:Budget=3", "0.25 of 3 ports is less than one TIME-WAIT")]
    [InlineData("Ports:Range=40000-40002", "0.25 of 3 ports is less than one TIME-WAIT")]
    [InlineData("Ports:Range=60997-61100", "0.25 of 3 ports is less than one TIME-WAIT")]
    public void A_client_that_always_closes_first_needs_room_for_a_time_wait(string line, string expected)
    {
        Assert.Equal(
            [$"{Cache}:Ports:TimeWaitShare: {expected}, but with Shutdown:ClosesFirst = Client every close needs one."],
            Bound.Faults("Endpoints:cache:Address=cache:6379", $"Endpoints:cache:{line}", "Endpoints:cache:Shutdown:ClosesFirst=Client"));
        Assert.Empty(Bound.Faults("Endpoints:cache:Address=cache:6379", $"Endpoints:cache:{line}"));
    }

    [Theory]
    [InlineData("30000-32767", "30000-32767 lies outside the system's ephemeral ports 32768-60999 (net.ipv4.ip_local_port_range); the kernel would ignore it.")]
    [InlineData("50000-50001", "50000-50001 holds only reserved ports (net.ipv4.ip_local_reserved_ports: 50000-50009); none could be used.")]
    [InlineData("30000-32768", null)]
    public void A_range_that_the_kernel_would_ignore(string range, string? expected)
    {
        var host = Bound.Host with { Reserved = [new PortRange(50000, 50009)] };
        var options = Bound.Options("Endpoints:cache:Address=cache:6379", $"Endpoints:cache:Ports:Range={range}");

        SettingsFactory.TryCreate(options, () => host, out _, out var faults);

        Assert.Equal(expected is null ? null : [$"{Cache}:Ports:Range: {expected}"], faults);
    }

    [Fact]
    public void A_range_is_checked_against_this_host()
    {
        var system = new KernelPortSettingsReader(TimeProvider.System).Current.Range;
        Assert.SkipUnless(OperatingSystem.IsLinux() && system is { First: > 1024 }, "Needs a Linux whose range leaves ports below it.");
        var outside = new PortRange(1024, system!.Value.First - 1);
        var options = Bound.Options("Endpoints:cache:Address=cache:6379", $"Endpoints:cache:Ports:Range={outside}");

        var e = Assert.ThrowsAny<OptionsValidationException>(() => SettingsFactory.Create(options));

        Assert.StartsWith(
            $"{Cache}:Ports:Range: {outside} lies outside the system's ephemeral ports {system}", Assert.Single(e.Failures), StringComparison.Ordinal);
    }
}
