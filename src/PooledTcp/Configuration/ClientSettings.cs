using System.Collections.Frozen;
using PooledTcp.Connections;

namespace PooledTcp.Configuration;

/// <summary>One valid, immutable snapshot of all settings of a client. Compared by value, endpoint by endpoint.</summary>
internal sealed class ClientSettings : IEquatable<ClientSettings>
{
    private readonly PoolSettings _adHoc;
    private readonly EndpointHooks _adHocHooks;
    private readonly IReadOnlyDictionary<string, EndpointHooks> _hooks;

    /// <param name="adHoc">
    /// What ad hoc pools run on; its address is a placeholder, and so is its TLS target unless one is configured.
    /// </param>
    /// <param name="endpoints">Configured endpoints, in the order of their names, which ignore case.</param>
    /// <param name="adHocHooks">Hooks of ad hoc pools.</param>
    /// <param name="hooks">Hooks of the configured endpoints.</param>
    /// <param name="maxTotalConnections">Connections over all endpoints; <see cref="int.MaxValue"/> for no limit.</param>
    /// <param name="maxClosing">Closes under way at one time, over all endpoints.</param>
    /// <param name="telemetry">What is told.</param>
    /// <param name="path">Where the settings come from, for messages.</param>
    public ClientSettings(
        PoolSettings adHoc,
        IReadOnlyDictionary<string, PoolSettings> endpoints,
        EndpointHooks adHocHooks,
        FrozenDictionary<string, EndpointHooks> hooks,
        int maxTotalConnections,
        int maxClosing,
        TelemetrySettings telemetry,
        string path)
    {
        _adHoc = adHoc;
        _adHocHooks = adHocHooks;
        _hooks = hooks;
        MaxTotalConnections = maxTotalConnections;
        MaxClosing = maxClosing;
        Telemetry = telemetry;
        Path = path;
        Endpoints = endpoints;
    }

    /// <summary>Where the settings come from, for messages.</summary>
    public string Path { get; }

    /// <summary>How many connections there may be over all endpoints; <see cref="int.MaxValue"/> for no limit.</summary>
    public int MaxTotalConnections { get; }

    /// <summary>How many closes may be under way at one time, over all endpoints.</summary>
    public int MaxClosing { get; }

    public TelemetrySettings Telemetry { get; }

    /// <summary>Configured endpoints, in the order of their names, which ignore case.</summary>
    public IReadOnlyDictionary<string, PoolSettings> Endpoints { get; }

    /// <summary>Settings of a configured endpoint.</summary>
    /// <exception cref="ArgumentException">No endpoint has that name; the message lists those there are.</exception>
    public PoolSettings GetEndpoint(string endpoint)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        if (Endpoints.TryGetValue(endpoint, out var settings))
        {
            return settings;
        }

        var known = Endpoints.Count == 0
            ? "none"
            : string.Join(", ", Endpoints.Keys.Order(StringComparer.OrdinalIgnoreCase));
        throw new ArgumentException(
            $"No endpoint \"{EndpointAddressParser.Shown(endpoint)}\" is configured under {Path}:Endpoints. Configured: {known}.", nameof(endpoint));
    }

    /// <summary>
    /// The hooks the options carry. A pool takes them once, when it is made, so they are not part of what is compared.
    /// </summary>
    public EndpointHooks HooksOf(string endpoint) => _hooks.GetValueOrDefault(endpoint, EndpointHooks.None);

    /// <summary>The hooks of an endpoint that is not configured by name.</summary>
    public EndpointHooks HooksForAdHoc() => _adHocHooks;

    /// <summary>The defaults, for an endpoint that is not configured by name.</summary>
    /// <exception cref="ArgumentException">TLS is on by default, and a unix socket has no name to verify.</exception>
    public PoolSettings ForAdHoc(EndpointAddress address)
    {
        var tls = _adHoc.Tls;
        if (tls is { TargetHost: "" })
        {
            tls = tls with
            {
                TargetHost = TlsSettingsFactory.TargetHostOf(address) ?? throw new ArgumentException(
                    $"{Path}:Defaults:Tls:TargetHost is required to speak TLS with {address}: a unix socket has no host name to verify.",
                    nameof(address)),
            };
        }

        return _adHoc with { Address = address, Tls = tls };
    }

    public bool Equals(ClientSettings? other)
    {
        if (other is null || MaxTotalConnections != other.MaxTotalConnections || MaxClosing != other.MaxClosing
            || Telemetry != other.Telemetry || Endpoints.Count != other.Endpoints.Count || _adHoc != other._adHoc)
        {
            return false;
        }

        foreach (var (name, settings) in Endpoints)
        {
            if (!other.Endpoints.TryGetValue(name, out var others) || settings != others)
            {
                return false;
            }
        }

        return true;
    }

    public override bool Equals(object? obj) => Equals(obj as ClientSettings);

    public override int GetHashCode() => HashCode.Combine(_adHoc, Endpoints.Count);
}
