using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

public sealed class SettingsSourceTests : IDisposable
{
    private static readonly string[] Good = ["Endpoints:cache:Address=cache:6379", "Endpoints:gateway:Address=gateway:9000"];

    private readonly MutableConfiguration _configuration = new(Good);
    private readonly FakeLogger _logger = new();
    private readonly List<ClientSettings> _published = [];
    private readonly List<IConfigureOptions<PooledTcpOptions>> _configure = [];
    private readonly List<IValidateOptions<PooledTcpOptions>> _validate = [new PooledTcpOptionsValidator()];
    private SettingsSource? _source;

    public void Dispose() => _source?.Dispose();

    [Fact]
    public void A_valid_change_is_published()
    {
        Start();

        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=7", "Endpoints:new:Address=new:1"]);

        var settings = Assert.Single(_published);
        Assert.Equal(7, settings.GetEndpoint("cache").MaxConnections);
        Assert.Equal("new:1", settings.GetEndpoint("new").Address.ToString());
        var record = Assert.Single(_logger.Collector.GetSnapshot());
        Assert.Equal((LogLevel.Information, "pooled_tcp.options.applied", 101), (record.Level, record.Id.Name, record.Id.Id));
    }

    [Fact]
    public void A_change_of_nothing_publishes_nothing()
    {
        Start();

        _configuration.Set(Good);
        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=100"]);

        Assert.Empty(_published);
        Assert.Empty(_logger.Collector.GetSnapshot());
    }

    public static TheoryData<string, string> Rejected => new()
    {
        { "Endpoints:cache:MaxConnections=0", "PooledTcp:Endpoints:cache:MaxConnections: 0 is not in the range 1 to 1,000,000." },
        { "Endpoints:cache:MaxConnections=abc", "PooledTcp:Endpoints:cache:MaxConnections: \"abc\" is not a whole number." },
        { "Endpoints:cache:MaxConections=8", "PooledTcp:Endpoints:cache:MaxConections: is not a setting. Did you mean MaxConnections?" },
    };

    [Theory]
    [MemberData(nameof(Rejected))]
    public void An_invalid_or_malformed_change_keeps_the_last_good_one(string line, string fault)
    {
        Start();

        _configuration.Set([.. Good, line]);

        AssertRejected(fault);
    }

    [Fact]
    public void A_rejection_names_every_fault()
    {
        Start();

        _configuration.Set("Endpoints:cache:Address=cache", "Endpoints:gateway:MaxWaiters=x");

        AssertRejected(
            "PooledTcp:Endpoints:cache:Address: \"cache\" has no port: write cache:port.",
            "PooledTcp:Endpoints:gateway:Address: is required: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path.",
            "PooledTcp:Endpoints:gateway:MaxWaiters: \"x\" is not a whole number.");
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{ "PooledTcp": {} }""")]
    [InlineData("""{ "PooledTcp": null }""")]
    [InlineData("""{ "Logging": { "Level": "Debug" } }""")]
    public void A_vanished_section_keeps_the_last_good_one(string json)
    {
        Start();

        _configuration.SetJson(json);

        AssertRejected("PooledTcp: has nothing in it any more; it was removed, or its file was emptied.");
    }

    [Fact]
    public void A_vanished_section_is_noticed_even_if_code_still_makes_valid_options()
    {
        _configure.Add(new ConfigureOptions<PooledTcpOptions>(static o =>
        {
            o.AddEndpoint("cache", static e => e.Address = "elsewhere:1").AddEndpoint("gateway", static e => e.Address = "elsewhere:2");
        }));
        Start();

        _configuration.SetJson("{}");

        AssertRejected("PooledTcp: has nothing in it any more; it was removed, or its file was emptied.");
    }

    [Fact]
    public void Vanished_endpoints_keep_the_last_good_one()
    {
        Start();

        _configuration.Set("Defaults:MaxConnections=5");

        AssertRejected(
            "PooledTcp:Endpoints:cache: is no longer configured; an endpoint stays until the process ends.",
            "PooledTcp:Endpoints:gateway: is no longer configured; an endpoint stays until the process ends.");
    }

    [Fact]
    public void One_vanished_endpoint_rejects_the_whole_change()
    {
        Start();

        _configuration.Set("Endpoints:cache:Address=cache:6379", "Endpoints:cache:MaxConnections=7");

        AssertRejected("PooledTcp:Endpoints:gateway: is no longer configured; an endpoint stays until the process ends.");
    }

    [Fact]
    public void The_same_rejection_is_logged_once()
    {
        Start();

        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=0"]);
        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=0"]);
        Assert.Single(_logger.Collector.GetSnapshot());

        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=-1"]);
        Assert.Equal(2, _logger.Collector.GetSnapshot().Count);
    }

    [Fact]
    public void Closing_settings_are_followed()
    {
        Start();

        _configuration.Set([.. Good, "MaxClosing=9", "Endpoints:cache:Shutdown:Goodbye=redis", "Endpoints:cache:Ports:Budget=100"]);
        _configuration.Set([.. Good, "MaxClosing=9", @"Endpoints:cache:Shutdown:Goodbye=raw:*1\r\n$4\r\nQUIT\r\n", "Endpoints:cache:Ports:Budget=100"]);

        // The second one spells the same bytes, and so changes nothing.
        var settings = Assert.Single(_published);
        Assert.Equal(9, settings.MaxClosing);
        Assert.Equal((14, 100), (settings.GetEndpoint("cache").Shutdown.Goodbye.Memory.Length, settings.GetEndpoint("cache").Ports.Budget));
    }

    [Fact]
    public void A_bad_farewell_is_rejected_and_the_last_one_stays()
    {
        Start();

        _configuration.Set([.. Good, "Endpoints:cache:Shutdown:Goodbye=reddis"]);

        AssertRejected("PooledTcp:Endpoints:cache:Shutdown:Goodbye: \"reddis\" is not a known farewell. Did you mean redis?");
    }

    [Fact]
    public void A_rejection_that_comes_back_after_a_good_change_is_logged_again()
    {
        Start();

        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=0"]);
        _configuration.Set(Good);
        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=0"]);

        Assert.Equal(2, _logger.Collector.GetSnapshot().Count);
    }

    [Fact]
    public void A_good_change_after_a_bad_one_is_taken()
    {
        Start();

        _configuration.SetJson("{}");
        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=abc"]);
        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=9"]);

        Assert.Equal(9, Assert.Single(_published).GetEndpoint("cache").MaxConnections);
    }

    [Fact]
    public void What_code_throws_is_a_rejection_with_its_exception()
    {
        var fail = false;
        _configure.Add(new ConfigureOptions<PooledTcpOptions>(_ =>
        {
            if (fail)
            {
                throw new InvalidOperationException("no vault");
            }
        }));
        Start();

        fail = true;
        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=9"]);

        Assert.Empty(_published);
        var record = Assert.Single(_logger.Collector.GetSnapshot());
        Assert.IsType<InvalidOperationException>(record.Exception);
        Assert.EndsWith("no vault", record.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_users_own_validators_join_the_message()
    {
        _validate.Add(new ValidateOptions<PooledTcpOptions>(null, static o => o.Endpoints["cache"].MaxConnections < 50, "Ops: at most 50."));

        var e = Assert.ThrowsAny<OptionsValidationException>(() =>
        {
            _configuration.Set([.. Good, "Endpoints:cache:MaxWaiters=-1"]);
            Start();
        });

        Assert.Equal(
            """
            2 settings are not valid:
              PooledTcp:Endpoints:cache:MaxWaiters: -1 is not in the range 0 to 1,000,000. 0 makes every rent fail that would have to wait for others.
              Ops: at most 50.
            """.ReplaceLineEndings("\n"),
            e.Message);
    }

    [Fact]
    public void A_change_between_load_and_watch_is_not_missed()
    {
        var source = Create();
        source.Load();
        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=7"]);

        source.Watch(_published.Add);

        Assert.Equal(7, Assert.Single(_published).GetEndpoint("cache").MaxConnections);
    }

    [Fact]
    public void A_change_while_one_is_published_is_published_after_it()
    {
        var source = Create();
        source.Load();
        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=7"]);

        source.Watch(settings =>
        {
            _published.Add(settings);
            if (_published.Count == 1)
            {
                // The token fires on this very thread, inside the first publication.
                _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=8"]);
                Assert.Single(_published);
            }
        });

        Assert.Equal([7, 8], _published.Select(static s => s.GetEndpoint("cache").MaxConnections));
    }

    [Fact]
    public void Changes_on_many_threads_are_published_one_at_a_time_and_none_is_lost()
    {
        var source = Create();
        source.Load();
        var inside = 0;
        var overlaps = 0;
        source.Watch(settings =>
        {
            overlaps += Interlocked.Increment(ref inside) - 1;
            _published.Add(settings);
            Interlocked.Decrement(ref inside);
        });

        // One configuration, whose tokens fire on whatever thread sets it.
        Parallel.For(1, 200, i => _configuration.Set([.. Good, $"Endpoints:cache:MaxConnections={i}"]));
        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=777"]);

        Assert.Equal(0, overlaps);
        Assert.Equal(777, _published[^1].GetEndpoint("cache").MaxConnections);
        Assert.DoesNotContain(_logger.Collector.GetSnapshot(), static r => r.Level == LogLevel.Error);
    }

    [Fact]
    public void After_disposal_nothing_is_published()
    {
        Start();
        _source!.Dispose();

        _configuration.Set([.. Good, "Endpoints:cache:MaxConnections=7"]);

        Assert.Empty(_published);
    }

    [Fact]
    public void A_section_that_comes_later_is_taken_and_then_missed()
    {
        _configuration.SetJson("{}");
        Start();

        _configuration.Set("Defaults:MaxConnections=5");
        _configuration.SetJson("{}");

        Assert.Equal(5, Assert.Single(_published).ForAdHoc(EndpointAddress.Parse("a:1")).MaxConnections);
        Assert.Equal(2, _logger.Collector.GetSnapshot().Count);
        Assert.Equal("pooled_tcp.options.rejected", _logger.LatestRecord.Id.Name);
    }

    [Fact]
    public void A_json_file_is_followed_through_bad_content_and_back()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, Json(5));
            var root = new ConfigurationBuilder().AddJsonFile(file, optional: false, reloadOnChange: false).Build();
            Start(root.GetSection("PooledTcp"));

            // Half a file: the provider throws and raises no token.
            File.WriteAllText(file, Json(6)[..40]);
            Assert.Throws<InvalidDataException>(root.Reload);
            Assert.Empty(_published);

            File.WriteAllText(file, "{}");
            root.Reload();
            Assert.Empty(_published);
            Assert.Equal("pooled_tcp.options.rejected", _logger.LatestRecord.Id.Name);

            File.WriteAllText(file, Json(7));
            root.Reload();
            Assert.Equal(7, Assert.Single(_published).GetEndpoint("cache").MaxConnections);
        }
        finally
        {
            File.Delete(file);
        }

        static string Json(int max) =>
            $$$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "cache:6379", "MaxConnections": {{{max}}} } } } }""";
    }

    [Theory]
    [InlineData("Endpoints:cache:Tls:Enabled=true", "PooledTcp:Endpoints:cache:Tls:Enabled")]
    [InlineData("Endpoints:cache:MaxUses=9", "PooledTcp:Endpoints:cache:MaxUses")]
    [InlineData("Endpoints:cache:KeepAlive:Count=2", "PooledTcp:Endpoints:cache:KeepAlive:Count")]
    [InlineData("Endpoints:cache:Tls:ApplicationProtocols:0=h2", "PooledTcp:Endpoints:cache:Tls:ApplicationProtocols")]
    [InlineData("Defaults:Tls:Enabled=true", "PooledTcp:Defaults:Tls:Enabled")]
    public void A_vanished_key_keeps_the_last_good_settings(string line, string key)
    {
        _configuration.Set([.. Good, line]);
        Start();

        _configuration.Set([.. Good, "Endpoints:cache:MaxWaiters=5"]);

        AssertRejected($"{key}: has vanished; to give it up, write its default value.");
    }

    [Fact]
    public void An_emptied_Tls_section_does_not_turn_TLS_off()
    {
        _configuration.SetJson("""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "c:1", "Tls": { "Enabled": true } } } } }""");
        Start();

        _configuration.SetJson("""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "c:1", "Tls": {} } } } }""");

        AssertRejected("PooledTcp:Endpoints:cache:Tls:Enabled: has vanished; to give it up, write its default value.");
    }

    [Fact]
    public void An_explicit_value_gives_a_setting_up_and_then_its_key_may_go()
    {
        _configuration.SetJson(Json("""
            "MaxUses": 9, "MaxConnections": 5, "Tls": { "Enabled": true, "TargetHost": "x", "ApplicationProtocols": [ "a", "b" ] }
            """));
        Start();

        _configuration.SetJson(Json("""
            "MaxUses": null, "MaxConnections": 100, "Tls": { "Enabled": false, "TargetHost": null, "ApplicationProtocols": [] }
            """));
        var settings = Assert.Single(_published).GetEndpoint("cache");
        Assert.Null(settings.Tls);
        Assert.Equal((int.MaxValue, 100), (settings.MaxUses, settings.MaxConnections));

        _configuration.SetJson(Json("\"NoDelay\": true"));
        _configuration.SetJson(Json("\"NoDelay\": false"));
        Assert.Equal(2, _published.Count);
        Assert.DoesNotContain(_logger.Collector.GetSnapshot(), static r => r.Level == LogLevel.Error);

        static string Json(string rest) =>
            $$$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "c:1", {{{rest}}} } } } }""";
    }

    [Fact]
    public void A_shorter_list_and_a_key_in_other_letters_have_not_vanished()
    {
        _configuration.Set("Endpoints:cache:Address=c:1", "Endpoints:cache:Tls:Enabled=true",
            "Endpoints:cache:Tls:ApplicationProtocols:0=a", "Endpoints:cache:Tls:ApplicationProtocols:1=b");
        Start();

        _configuration.Set("Endpoints:CACHE:address=c:1", "Endpoints:CACHE:TLS:enabled=true",
            "Endpoints:CACHE:TLS:applicationprotocols:0=a");

        Assert.Equal("a", Assert.Single(_published).GetEndpoint("cache").Tls!.ApplicationProtocols);
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
            Start(root.GetSection("PooledTcp"));

            // A watched file that was damaged ends the same: no keys, and the other layer's next change is told.
            File.Delete(lower);
            File.WriteAllText(upper, Upper("cache:6380"));
            root.Reload();

            AssertRejected(
                "PooledTcp:Defaults:MaxConnections: has vanished; to give it up, write its default value.",
                "PooledTcp:Defaults:Tls:Enabled: has vanished; to give it up, write its default value.");

            File.WriteAllText(lower, Base);
            File.WriteAllText(upper, Upper("cache:6381"));
            root.Reload();
            Assert.Equal("cache:6381", _published[^1].GetEndpoint("cache").Address.ToString());
            Assert.All(_published, static settings => Assert.NotNull(settings.GetEndpoint("cache").Tls));
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        static string Upper(string address) =>
            $$$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "{{{address}}}" } } } }""";
    }

    private void Start(IConfigurationSection? section = null)
    {
        var source = Create(section);
        source.Load();
        source.Watch(_published.Add);
        Assert.Empty(_published);
    }

    private SettingsSource Create(IConfigurationSection? section = null)
    {
        section ??= _configuration.Section;
        var bound = new PooledTcpSection(section);
        return _source = new SettingsSource(
            new OptionsFactory<PooledTcpOptions>([bound, .. _configure], [], _validate),
            [new ConfigurationChangeTokenSource<PooledTcpOptions>(section)],
            [bound],
            _logger);
    }

    private void AssertRejected(params string[] faults)
    {
        Assert.Empty(_published);
        var record = Assert.Single(_logger.Collector.GetSnapshot());
        Assert.Equal((LogLevel.Error, "pooled_tcp.options.rejected", 100), (record.Level, record.Id.Name, record.Id.Id));
        Assert.Null(record.Exception);
        var head = faults.Length == 1 ? "1 setting is not valid:" : $"{faults.Length} settings are not valid:";
        Assert.Equal(
            $"The changed PooledTcp settings are rejected and the last good ones stay: {head}\n  {string.Join("\n  ", faults)}",
            record.Message);
    }
}
