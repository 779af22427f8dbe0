using System.Net;
using System.Net.Sockets;
using CacheService.Hosting;
using Microsoft.AspNetCore.Builder;
using PooledTcp.CacheServiceTests.Support;
using Xunit;

namespace PooledTcp.CacheServiceTests;

/// <summary>A bad setting is one clear message, at start.</summary>
public sealed class SettingTests
{
    [Theory]
    [InlineData("Backend is Embedded or External, not 'Redis'.", "--Backend", "Redis")]
    [InlineData("not '10.0.0.7:6379'", "--PooledTcp:Endpoints:cache:Address", "10.0.0.7:6379")]
    [InlineData("not 'cache.example.com:6379'", "--PooledTcp:Endpoints:cache:Address", "cache.example.com:6379")]
    public void The_backend(string message, params string[] args)
    {
        SettingException exception = Assert.Throws<SettingException>(() => CacheApplication.Build(args));

        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_port_of_the_embedded_server_is_taken()
    {
        using var taken = new TcpListener(IPAddress.Loopback, FreePort.Next());
        taken.Start();
        string address = taken.LocalEndpoint.ToString()!;
        await using WebApplication app = CacheApplication.Build(["--urls", "http://127.0.0.1:0", "--PooledTcp:Endpoints:cache:Address", address]);

        SettingException exception = await Assert.ThrowsAsync<SettingException>(() => app.StartAsync(Patience.Token));

        Assert.StartsWith($"The embedded server cannot listen at {address}", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("MaxValueBytes", "--Cache:MaxValueBytes", "0")]
    [InlineData("RequestTimeout", "--Cache:RequestTimeout", "00:00:00")]
    [InlineData("SlowerThan", "--Telemetry:Console:SlowerThan", "-00:00:01")]
    public async Task Ranges(string setting, params string[] args)
    {
        using Child child = Child.Start(["--urls", "http://127.0.0.1:0", .. args]);

        Assert.Equal(1, await child.WaitForExitAsync());
        Assert.Contains(setting, child.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", child.Error, StringComparison.Ordinal);
    }
}
