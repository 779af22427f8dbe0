using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Options;
using PooledTcp.Connections;
using PooledTcp.Ports;

namespace PooledTcp.Configuration;

/// <summary>
/// The one way from options to settings: with or without dependency injection, at start and on reload. It collects
/// every fault before it gives up, so that a file is corrected in one round.
/// </summary>
internal static class SettingsFactory
{
    /// <exception cref="OptionsValidationException">Some settings are not valid; the message has a line for each.</exception>
    public static ClientSettings Create(PooledTcpOptions options) =>
        TryCreate(options, out var settings, out var faults) ? settings : throw new InvalidSettingsException(faults);

    /// <inheritdoc cref="TryCreate(PooledTcpOptions, Func{KernelPortSettings}, out ClientSettings, out IReadOnlyCollection{string})"/>
    public static bool TryCreate(
        PooledTcpOptions options,
        [NotNullWhen(true)] out ClientSettings? settings,
        [NotNullWhen(false)] out IReadOnlyCollection<string>? faults) =>
        TryCreate(options, ReadKernel, out settings, out faults);

    /// <param name="options">What was set.</param>
    /// <param name="kernel">This host's ports; asked only when a range is set.</param>
    /// <param name="settings">The settings, if all are valid.</param>
    /// <param name="faults">One line for each fault, in order.</param>
    public static bool TryCreate(
        PooledTcpOptions options,
        Func<KernelPortSettings> kernel,
        [NotNullWhen(true)] out ClientSettings? settings,
        [NotNullWhen(false)] out IReadOnlyCollection<string>? faults)
    {
        ArgumentNullException.ThrowIfNull(options);
        var path = options.ConfigurationPath;
        var lines = new List<string>(options.BindingFaults);

        var ofClient = new SettingFaults();
        ofClient.Range(nameof(options.MaxClosing), options.MaxClosing, 1, EndpointSettingsFactory.MaxCount);
        if (options.MaxTotalConnections is { } maxTotal)
        {
            ofClient.Range(
                nameof(options.MaxTotalConnections), maxTotal, 1, EndpointSettingsFactory.MaxCount, "Leave it out (null) for no limit.");
        }

        lines.AddRange(ofClient.Lines(path));

        var ofDefaults = new SettingFaults();
        var defaults = EndpointSettingsFactory.Create(options.Defaults, isDefaults: true, kernel, ofDefaults);
        lines.AddRange(ofDefaults.Lines($"{path}:Defaults"));

        var endpoints = new Dictionary<string, PoolSettings>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, endpoint) in options.Endpoints.OrderBy(static e => e.Key, StringComparer.OrdinalIgnoreCase))
        {
            if (NameFault(name) is { } nameFault)
            {
                lines.Add($"{path}:Endpoints: \"{name}\" {nameFault}");
            }

            if (endpoint is null)
            {
                lines.Add($"{path}:Endpoints:{name}: is null.");
                continue;
            }

            var ofEndpoint = new SettingFaults(inherited: ofDefaults);
            endpoints[name] = EndpointSettingsFactory.Create(endpoint, isDefaults: false, kernel, ofEndpoint);
            lines.AddRange(ofEndpoint.Lines($"{path}:Endpoints:{name}"));
        }

        if (lines.Count > 0)
        {
            settings = null;
            // The same section registered twice is bound twice, and told once. In order of their paths, whoever found them.
            faults = lines.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray();
            return false;
        }

        settings = new ClientSettings(
            // Kept connections would keep an unused ad hoc pool alive for ever.
            defaults with { MinIdleConnections = 0 },
            endpoints,
            EndpointHooks.From(options.Defaults),
            options.Endpoints.ToFrozenDictionary(
                static e => e.Key, static e => EndpointHooks.From(e.Value), StringComparer.OrdinalIgnoreCase),
            options.MaxTotalConnections ?? int.MaxValue,
            options.MaxClosing,
            TelemetrySettings.From(options.Telemetry),
            path);
        faults = null;
        return true;
    }

    // Read anew each time: an operator may have changed it since the last reload. Elsewhere a range is not used at all.
    private static KernelPortSettings ReadKernel() =>
        OperatingSystem.IsLinux() ? new KernelPortSettingsReader(TimeProvider.System).Current : KernelPortSettings.Unknown;

    private static string? NameFault(string name)
    {
        if (string.IsNullOrWhiteSpace(name))
        {
            return "is no name for an endpoint: it is empty.";
        }

        if (name.Contains(':', StringComparison.Ordinal))
        {
            return "is no name for an endpoint: a colon separates the parts of a configuration path.";
        }

        return name.Any(char.IsControl) || char.IsWhiteSpace(name[0]) || char.IsWhiteSpace(name[^1])
            ? "is no name for an endpoint: it has a control character or a space around it."
            : null;
    }
}

/// <summary>The same rules for whoever asks for <see cref="IOptions{TOptions}"/>, together with the user's own validators.</summary>
internal sealed class PooledTcpOptionsValidator : IValidateOptions<PooledTcpOptions>
{
    public ValidateOptionsResult Validate(string? name, PooledTcpOptions options) =>
        SettingsFactory.TryCreate(options, out _, out var faults)
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(faults);
}
