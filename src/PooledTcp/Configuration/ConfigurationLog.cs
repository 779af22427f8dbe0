using Microsoft.Extensions.Logging;

namespace PooledTcp.Configuration;

/// <summary>Log events of configuration: ids 100 to 119.</summary>
internal static partial class ConfigurationLog
{
    [LoggerMessage(
        100,
        LogLevel.Error,
        "The changed PooledTcp settings are rejected and the last good ones stay: {Faults}",
        EventName = "pooled_tcp.options.rejected")]
    public static partial void OptionsRejected(ILogger logger, string faults, Exception? exception);

    [LoggerMessage(
        101,
        LogLevel.Information,
        "Changed PooledTcp settings are applied ({Endpoints} endpoints)",
        EventName = "pooled_tcp.options.applied")]
    public static partial void OptionsApplied(ILogger logger, int endpoints);
}
