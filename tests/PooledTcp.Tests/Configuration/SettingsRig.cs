using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

/// <summary>A settings source over a configuration that tests change, what it published and what it logged.</summary>
internal sealed class SettingsRig : IDisposable
{
    public static readonly string[] Good = ["Endpoints:cache:Address=cache:6379", "Endpoints:gateway:Address=gateway:9000"];

    private SettingsSource? _source;

    public MutableConfiguration Configuration { get; } = new(Good);

    public FakeLogger Logger { get; } = new();

    public List<ClientSettings> Published { get; } = [];

    /// <summary>To be filled before the source is made.</summary>
    public List<IConfigureOptions<PooledTcpOptions>> Configure { get; } = [];

    public List<IValidateOptions<PooledTcpOptions>> Validate { get; } = [new PooledTcpOptionsValidator()];

    public void Dispose() => _source?.Dispose();

    public void Start(IConfigurationSection? section = null)
    {
        var source = Create(section);
        source.Load();
        source.Watch(Published.Add);
        Assert.Empty(Published);
    }

    public SettingsSource Create(IConfigurationSection? section = null)
    {
        section ??= Configuration.Section;
        var bound = new PooledTcpSection(section);
        return _source = new SettingsSource(
            new OptionsFactory<PooledTcpOptions>([bound, .. Configure], [], Validate),
            [new ConfigurationChangeTokenSource<PooledTcpOptions>(section)],
            [bound],
            Logger);
    }

    public void AssertRejected(params string[] faults)
    {
        Assert.Empty(Published);
        var record = Assert.Single(Logger.Collector.GetSnapshot());
        Assert.Equal((LogLevel.Error, "pooled_tcp.options.rejected", 100), (record.Level, record.Id.Name, record.Id.Id));
        Assert.Null(record.Exception);
        var head = faults.Length == 1 ? "1 setting is not valid:" : $"{faults.Length} settings are not valid:";
        Assert.Equal(
            $"The changed PooledTcp settings are rejected and the last good ones stay: {head}\n  {string.Join("\n  ", faults)}",
            record.Message);
    }
}
