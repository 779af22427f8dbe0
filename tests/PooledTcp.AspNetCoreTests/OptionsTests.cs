using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using PooledTcp.AspNetCore;
using PooledTcp.AspNetCore.Configuration;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

public sealed class OptionsTests
{
    [Fact]
    public void Every_setting_binds()
    {
        var settings = ClosePolicySettings.Create(Bind(
            "ClosesFirst=client", "IdleTimeout=Infinite", "FlushTimeout=00:00:07", "DrainTimeout=00:00:00.5", "DrainLimit=1024",
            "ClientCloseTimeout=00:01:00", "AllowQuietClose=false"));

        Assert.Equal(
            new ClosePolicySettings(
                ClosingSide.Client, Timeout.InfiniteTimeSpan, TimeSpan.FromSeconds(7), TimeSpan.FromSeconds(0.5), 1024,
                TimeSpan.FromMinutes(1), false),
            settings);
        Assert.Equal(
            typeof(ClosePolicyOptions).GetProperties().Select(property => property.Name).Order(StringComparer.Ordinal),
            ClosePolicySection.Known.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_fault_is_in_one_message()
    {
        var error = Assert.ThrowsAny<OptionsValidationException>(() => ClosePolicySettings.Create(Bind(
            "ClosesFirst=Both", "IdleTimeout=00:00:00.1", "FlushTimeout=90", "DrainTimout=00:00:01", "DrainLimit=-1",
            "ClientCloseTimeout=2.00:00:00", "AllowQuietClose=maybe")));

        Assert.Equal(
            """
            7 settings are not valid:
              PooledTcp:Server:AllowQuietClose: "maybe" is not true or false.
              PooledTcp:Server:ClientCloseTimeout: 2.00:00:00 is not in the range 00:00:00.01 to 1.00:00:00.
              PooledTcp:Server:ClosesFirst: "Both" is not one of Server, Client.
              PooledTcp:Server:DrainLimit: -1 is not in the range 0 to 1,073,741,824.
              PooledTcp:Server:DrainTimout: is not a setting. Did you mean DrainTimeout?
              PooledTcp:Server:FlushTimeout: "90" means 90 days; write 00:01:30 for 90 seconds (hh:mm:ss), or 90.00:00:00 if days are meant.
              PooledTcp:Server:IdleTimeout: 00:00:00.1 is not in the range 00:00:01 to 24.00:00:00, or Infinite.
            """,
            error.Message);
    }

    [Fact]
    public void A_number_is_no_side() =>
        Assert.Contains(
            "ClosesFirst: 7 is not one of Server, Client.",
            Assert.ThrowsAny<OptionsValidationException>(() => ClosePolicySettings.Create(new() { ClosesFirst = (ClosingSide)7 })).Message,
            StringComparison.Ordinal);

    [Fact]
    public void The_whole_configuration_is_refused() =>
        Assert.Throws<ArgumentException>(() => new ServiceCollection().AddClosePolicy(new ConfigurationBuilder().Build()));

    [Fact]
    public async Task Configuration_comes_first_then_the_endpoint()
    {
        await using var server = await Server.StartListeningAsync(
            listen => listen
                .UseClosePolicy(options =>
                {
                    Assert.Equal(TimeSpan.FromSeconds(9), options.DrainTimeout);
                    Assert.Equal(ClosingSide.Client, options.ClosesFirst);
                    options.ClosesFirst = ClosingSide.Server;
                })
                .Run(connection =>
                {
                    Assert.Equal(ClosingSide.Server, connection.Features.Get<IClosePolicyFeature>()!.ClosesFirst);
                    return Task.CompletedTask;
                }),
            services => services
                .AddClosePolicy(Section("DrainTimeout=00:00:09"))
                .AddClosePolicy(options => options.ClosesFirst = ClosingSide.Client));
        using var client = await Client.ConnectAsync(server);

        Assert.Equal("", await client.ReadToEndAsync());
        Assert.Empty(server.Logged.Errors);
    }

    [Fact]
    public async Task Invalid_settings_fail_the_start() =>
        await Assert.ThrowsAnyAsync<OptionsValidationException>(() => Server.StartAsync(
            Server.EchoLinesAsync, options => options.DrainLimit = -1));

    private static ClosePolicyOptions Bind(params string[] settings)
    {
        var options = new ClosePolicyOptions();
        new ClosePolicySection(Section(settings)).Configure(options);
        return options;
    }

    private static IConfigurationSection Section(params string[] settings) =>
        new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(setting => setting.Split('=')).Select(pair => KeyValuePair.Create("PooledTcp:Server:" + pair[0], (string?)pair[1])))
            .Build()
            .GetSection("PooledTcp:Server");
}
