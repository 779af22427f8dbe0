using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

/// <summary>What was configured and is no longer there: a damaged file looks like that, so the last good settings stay.</summary>
public sealed class VanishedSettingsTests : IDisposable
{
    private readonly SettingsRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Theory]
    [InlineData("{}")]
    [InlineData("""{ "PooledTcp": {} }""")]
    [InlineData("""{ "PooledTcp": null }""")]
    [InlineData("""{ "Logging": { "Level": "Debug" } }""")]
    public void A_vanished_section_keeps_the_last_good_one(string json)
    {
        _rig.Start();

        _rig.Configuration.SetJson(json);

        _rig.AssertRejected("PooledTcp: has nothing in it any more; it was removed, or its file was emptied.");
    }

    [Fact]
    public void A_vanished_section_is_noticed_even_if_code_still_makes_valid_options()
    {
        _rig.Configure.Add(new ConfigureOptions<PooledTcpOptions>(static o =>
        {
            o.AddEndpoint("cache", static e => e.Address = "elsewhere:1").AddEndpoint("gateway", static e => e.Address = "elsewhere:2");
        }));
        _rig.Start();

        _rig.Configuration.SetJson("{}");

        _rig.AssertRejected("PooledTcp: has nothing in it any more; it was removed, or its file was emptied.");
    }

    [Fact]
    public void Vanished_endpoints_keep_the_last_good_one()
    {
        _rig.Start();

        _rig.Configuration.Set("Defaults:MaxConnections=5");

        _rig.AssertRejected(
            "PooledTcp:Endpoints:cache: is no longer configured; an endpoint stays until the process ends.",
            "PooledTcp:Endpoints:gateway: is no longer configured; an endpoint stays until the process ends.");
    }

    [Fact]
    public void One_vanished_endpoint_rejects_the_whole_change()
    {
        _rig.Start();

        _rig.Configuration.Set("Endpoints:cache:Address=cache:6379", "Endpoints:cache:MaxConnections=7");

        _rig.AssertRejected("PooledTcp:Endpoints:gateway: is no longer configured; an endpoint stays until the process ends.");
    }

    [Fact]
    public void A_section_that_comes_later_is_taken_and_then_missed()
    {
        _rig.Configuration.SetJson("{}");
        _rig.Start();

        _rig.Configuration.Set("Defaults:MaxConnections=5");
        _rig.Configuration.SetJson("{}");

        Assert.Equal(5, Assert.Single(_rig.Published).ForAdHoc(EndpointAddress.Parse("a:1")).MaxConnections);
        Assert.Equal(2, _rig.Logger.Collector.GetSnapshot().Count);
        Assert.Equal("pooled_tcp.options.rejected", _rig.Logger.LatestRecord.Id.Name);
    }

    [Theory]
    [InlineData("Endpoints:cache:Tls:Enabled=true", "PooledTcp:Endpoints:cache:Tls:Enabled")]
    [InlineData("Endpoints:cache:MaxUses=9", "PooledTcp:Endpoints:cache:MaxUses")]
    [InlineData("Endpoints:cache:KeepAlive:Count=2", "PooledTcp:Endpoints:cache:KeepAlive:Count")]
    [InlineData("Endpoints:cache:Tls:ApplicationProtocols:0=h2", "PooledTcp:Endpoints:cache:Tls:ApplicationProtocols")]
    [InlineData("Defaults:Tls:Enabled=true", "PooledTcp:Defaults:Tls:Enabled")]
    public void A_vanished_key_keeps_the_last_good_settings(string line, string key)
    {
        _rig.Configuration.Set([.. SettingsRig.Good, line]);
        _rig.Start();

        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxWaiters=5"]);

        _rig.AssertRejected($"{key}: has vanished; to give it up, write its default value.");
    }

    [Fact]
    public void An_emptied_Tls_section_does_not_turn_TLS_off()
    {
        _rig.Configuration.SetJson("""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "c:1", "Tls": { "Enabled": true } } } } }""");
        _rig.Start();

        _rig.Configuration.SetJson("""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "c:1", "Tls": {} } } } }""");

        _rig.AssertRejected("PooledTcp:Endpoints:cache:Tls:Enabled: has vanished; to give it up, write its default value.");
    }

    [Fact]
    public void An_explicit_value_gives_a_setting_up_and_then_its_key_may_go()
    {
        _rig.Configuration.SetJson(Json("""
            "MaxUses": 9, "MaxConnections": 5, "Tls": { "Enabled": true, "TargetHost": "x", "ApplicationProtocols": [ "a", "b" ] }
            """));
        _rig.Start();

        _rig.Configuration.SetJson(Json("""
            "MaxUses": null, "MaxConnections": 100, "Tls": { "Enabled": false, "TargetHost": null, "ApplicationProtocols": [] }
            """));
        var settings = Assert.Single(_rig.Published).GetEndpoint("cache");
        Assert.Null(settings.Tls);
        Assert.Equal((int.MaxValue, 100), (settings.MaxUses, settings.MaxConnections));

        _rig.Configuration.SetJson(Json("\"NoDelay\": true"));
        _rig.Configuration.SetJson(Json("\"NoDelay\": false"));
        Assert.Equal(2, _rig.Published.Count);
        Assert.DoesNotContain(_rig.Logger.Collector.GetSnapshot(), static r => r.Level == LogLevel.Error);

        static string Json(string rest) =>
            $$$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "c:1", {{{rest}}} } } } }""";
    }

    [Fact]
    public void A_shorter_list_and_a_key_in_other_letters_have_not_vanished()
    {
        _rig.Configuration.Set("Endpoints:cache:Address=c:1", "Endpoints:cache:Tls:Enabled=true",
            "Endpoints:cache:Tls:ApplicationProtocols:0=a", "Endpoints:cache:Tls:ApplicationProtocols:1=b");
        _rig.Start();

        _rig.Configuration.Set("Endpoints:CACHE:address=c:1", "Endpoints:CACHE:TLS:enabled=true",
            "Endpoints:CACHE:TLS:applicationprotocols:0=a");

        Assert.Equal("a", Assert.Single(_rig.Published).GetEndpoint("cache").Tls!.ApplicationProtocols);
    }

    [Fact]
    public void A_layer_that_lost_its_file_does_not_turn_TLS_off()
    {
        const string Base = """{ "PooledTcp": { "Defaults": { "MaxConnections": 5, "Tls": { "Enabled": true } } } }""";
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            string lower = Path.Combine(folder.FullName, "base.json"), upper = Path.Combine(folder.FullName, "prod.json");
            File.WriteAllText(lower, Base);
            File.WriteAllText(upper, Upper("cache:6379"));
            var root = new ConfigurationBuilder()
                .AddJsonFile(lower, optional: true, reloadOnChange: false).AddJsonFile(upper, optional: false, reloadOnChange: false).Build();
            _rig.Start(root.GetSection("PooledTcp"));

            // A watched file that was damaged ends the same: no keys, and the other layer's next change is told.
            File.Delete(lower);
            File.WriteAllText(upper, Upper("cache:6380"));
            root.Reload();

            _rig.AssertRejected(
                "PooledTcp:Defaults:MaxConnections: has vanished; to give it up, write its default value.",
                "PooledTcp:Defaults:Tls:Enabled: has vanished; to give it up, write its default value.");

            File.WriteAllText(lower, Base);
            File.WriteAllText(upper, Upper("cache:6381"));
            root.Reload();
            Assert.Equal("cache:6381", _rig.Published[^1].GetEndpoint("cache").Address.ToString());
            Assert.All(_rig.Published, static settings => Assert.NotNull(settings.GetEndpoint("cache").Tls));
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        static string Upper(string address) =>
            $$$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "{{{address}}}" } } } }""";
    }
}
