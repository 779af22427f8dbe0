using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Xunit;

namespace PooledTcp.Tests.Configuration;

/// <summary>A changed configuration: what is published, what is rejected, and that none of it is missed.</summary>
public sealed class SettingsSourceTests : IDisposable
{
    private readonly SettingsRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public void A_valid_change_is_published()
    {
        _rig.Start();

        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=7", "Endpoints:new:Address=new:1"]);

        var settings = Assert.Single(_rig.Published);
        Assert.Equal(7, settings.GetEndpoint("cache").MaxConnections);
        Assert.Equal("new:1", settings.GetEndpoint("new").Address.ToString());
        var record = Assert.Single(_rig.Logger.Collector.GetSnapshot());
        Assert.Equal((LogLevel.Information, "pooled_tcp.options.applied", 101), (record.Level, record.Id.Name, record.Id.Id));
    }

    [Fact]
    public void A_change_of_nothing_publishes_nothing()
    {
        _rig.Start();

        _rig.Configuration.Set(SettingsRig.Good);
        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=100"]);

        Assert.Empty(_rig.Published);
        Assert.Empty(_rig.Logger.Collector.GetSnapshot());
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
        _rig.Start();

        _rig.Configuration.Set([.. SettingsRig.Good, line]);

        _rig.AssertRejected(fault);
    }

    [Fact]
    public void A_rejection_names_every_fault()
    {
        _rig.Start();

        _rig.Configuration.Set("Endpoints:cache:Address=cache", "Endpoints:gateway:MaxWaiters=x");

        _rig.AssertRejected(
            "PooledTcp:Endpoints:cache:Address: \"cache\" has no port: write cache:port.",
            "PooledTcp:Endpoints:gateway:Address: is required: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path.",
            "PooledTcp:Endpoints:gateway:MaxWaiters: \"x\" is not a whole number.");
    }

    [Fact]
    public void The_same_rejection_is_logged_once()
    {
        _rig.Start();

        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=0"]);
        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=0"]);
        Assert.Single(_rig.Logger.Collector.GetSnapshot());

        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=-1"]);
        Assert.Equal(2, _rig.Logger.Collector.GetSnapshot().Count);
    }

    [Fact]
    public void Closing_settings_are_followed()
    {
        _rig.Start();

        _rig.Configuration.Set([.. SettingsRig.Good, "MaxClosing=9", "Endpoints:cache:Shutdown:Goodbye=redis", "Endpoints:cache:Ports:Budget=100"]);
        _rig.Configuration.Set([.. SettingsRig.Good, "MaxClosing=9", @"Endpoints:cache:Shutdown:Goodbye=raw:*1\r\n$4\r\nQUIT\r\n", "Endpoints:cache:Ports:Budget=100"]);

        // The second one spells the same bytes, and so changes nothing.
        var settings = Assert.Single(_rig.Published);
        Assert.Equal(9, settings.MaxClosing);
        Assert.Equal((14, 100), (settings.GetEndpoint("cache").Shutdown.Goodbye.Memory.Length, settings.GetEndpoint("cache").Ports.Budget));
    }

    [Fact]
    public void A_bad_farewell_is_rejected_and_the_last_one_stays()
    {
        _rig.Start();

        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:Shutdown:Goodbye=reddis"]);

        _rig.AssertRejected("PooledTcp:Endpoints:cache:Shutdown:Goodbye: \"reddis\" is not a known farewell. Did you mean redis?");
    }

    [Fact]
    public void A_rejection_that_comes_back_after_a_good_change_is_logged_again()
    {
        _rig.Start();

        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=0"]);
        _rig.Configuration.Set(SettingsRig.Good);
        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=0"]);

        Assert.Equal(2, _rig.Logger.Collector.GetSnapshot().Count);
    }

    [Fact]
    public void A_good_change_after_a_bad_one_is_taken()
    {
        _rig.Start();

        _rig.Configuration.SetJson("{}");
        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=abc"]);
        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=9"]);

        Assert.Equal(9, Assert.Single(_rig.Published).GetEndpoint("cache").MaxConnections);
    }

    [Fact]
    public void What_code_throws_is_a_rejection_with_its_exception()
    {
        var fail = false;
        _rig.Configure.Add(new ConfigureOptions<PooledTcpOptions>(_ =>
        {
            if (fail)
            {
                throw new InvalidOperationException("no vault");
            }
        }));
        _rig.Start();

        fail = true;
        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=9"]);

        Assert.Empty(_rig.Published);
        var record = Assert.Single(_rig.Logger.Collector.GetSnapshot());
        Assert.IsType<InvalidOperationException>(record.Exception);
        Assert.EndsWith("no vault", record.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_users_own_validators_join_the_message()
    {
        _rig.Validate.Add(new ValidateOptions<PooledTcpOptions>(null, static o => o.Endpoints["cache"].MaxConnections < 50, "Ops: at most 50."));

        var e = Assert.ThrowsAny<OptionsValidationException>(() =>
        {
            _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxWaiters=-1"]);
            _rig.Start();
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
        var source = _rig.Create();
        source.Load();
        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=7"]);

        source.Watch(_rig.Published.Add);

        Assert.Equal(7, Assert.Single(_rig.Published).GetEndpoint("cache").MaxConnections);
    }

    [Fact]
    public void A_change_while_one_is_published_is_published_after_it()
    {
        var source = _rig.Create();
        source.Load();
        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=7"]);

        source.Watch(settings =>
        {
            _rig.Published.Add(settings);
            if (_rig.Published.Count == 1)
            {
                // The token fires on this very thread, inside the first publication.
                _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=8"]);
                Assert.Single(_rig.Published);
            }
        });

        Assert.Equal([7, 8], _rig.Published.Select(static s => s.GetEndpoint("cache").MaxConnections));
    }

    [Fact]
    public void Changes_on_many_threads_are_published_one_at_a_time_and_none_is_lost()
    {
        var source = _rig.Create();
        source.Load();
        var inside = 0;
        var overlaps = 0;
        source.Watch(settings =>
        {
            overlaps += Interlocked.Increment(ref inside) - 1;
            _rig.Published.Add(settings);
            Interlocked.Decrement(ref inside);
        });

        // One configuration, whose tokens fire on whatever thread sets it.
        Parallel.For(1, 200, i => _rig.Configuration.Set([.. SettingsRig.Good, $"Endpoints:cache:MaxConnections={i}"]));
        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=777"]);

        Assert.Equal(0, overlaps);
        Assert.Equal(777, _rig.Published[^1].GetEndpoint("cache").MaxConnections);
        Assert.DoesNotContain(_rig.Logger.Collector.GetSnapshot(), static r => r.Level == LogLevel.Error);
    }

    [Fact]
    public void After_disposal_nothing_is_published()
    {
        _rig.Start();
        _rig.Dispose();

        _rig.Configuration.Set([.. SettingsRig.Good, "Endpoints:cache:MaxConnections=7"]);

        Assert.Empty(_rig.Published);
    }

    [Fact]
    public void A_json_file_is_followed_through_bad_content_and_back()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, Json(5));
            var root = new ConfigurationBuilder().AddJsonFile(file, optional: false, reloadOnChange: false).Build();
            _rig.Start(root.GetSection("PooledTcp"));

            // Half a file: the provider throws and raises no token.
            File.WriteAllText(file, Json(6)[..40]);
            Assert.Throws<InvalidDataException>(root.Reload);
            Assert.Empty(_rig.Published);

            File.WriteAllText(file, "{}");
            root.Reload();
            Assert.Empty(_rig.Published);
            Assert.Equal("pooled_tcp.options.rejected", _rig.Logger.LatestRecord.Id.Name);

            File.WriteAllText(file, Json(7));
            root.Reload();
            Assert.Equal(7, Assert.Single(_rig.Published).GetEndpoint("cache").MaxConnections);
        }
        finally
        {
            File.Delete(file);
        }

        static string Json(int max) =>
            $$$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "cache:6379", "MaxConnections": {{{max}}} } } } }""";
    }
}
