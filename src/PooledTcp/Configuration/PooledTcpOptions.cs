namespace PooledTcp;

/// <summary>
/// Settings of a <see cref="PooledTcpClient"/>: what every endpoint starts from, and the endpoints by name.
/// In appsettings this is the section <c>PooledTcp</c>, with <c>MaxTotalConnections</c>, <c>MaxClosing</c>,
/// <c>Telemetry</c>, <c>Defaults</c> and <c>Endpoints:&lt;name&gt;</c> in it.
/// </summary>
/// <remarks>
/// The client takes a copy when it is made, so later changes to this object change nothing; a reload of the
/// configuration section does. Faults are reported all together, in one
/// <see cref="Microsoft.Extensions.Options.OptionsValidationException"/>.
/// </remarks>
public sealed class PooledTcpOptions
{
    internal const string DefaultPath = "PooledTcp";

    /// <summary>
    /// The most connections over all endpoints: live, connecting and closing together. When they are all taken, idle ones of
    /// other endpoints give way, least recently used first, and the endpoints whose callers wait take turns: none starves,
    /// however many callers another has.
    /// </summary>
    /// <value>1 to 1,000,000, or null for no limit. Default: null. Directly under <c>PooledTcp</c> in configuration.</value>
    public int? MaxTotalConnections { get; set; }

    /// <summary>
    /// How many closes may be under way at one time, over all endpoints: a slow server must not collect sockets without end.
    /// One more is closed quietly at once, or waits where only the client may close first. Closes that only wait for the
    /// server or for a share of ports do not count.
    /// </summary>
    /// <value>1 to 1,000,000. Default: 256. Directly under <c>PooledTcp</c> in configuration.</value>
    public int MaxClosing { get; set; } = 256;

    /// <summary>What metrics and traces carry. Under <c>PooledTcp:Telemetry</c> in configuration.</summary>
    public TcpTelemetryOptions Telemetry { get; } = new();

    /// <summary>
    /// What endpoints start from, and what pools of ad hoc endpoints run on.
    /// <see cref="TcpEndpointOptions.Address"/> belongs to an endpoint and is refused here;
    /// <see cref="TcpEndpointOptions.MinIdleConnections"/> does not apply to ad hoc pools, which remove themselves when unused.
    /// With <see cref="TcpEndpointOptions.IdleTimeout"/> and <see cref="TcpEndpointOptions.Lifetime"/> both infinite, their
    /// connections and so the pools stay until the client is disposed: not for an open set of addresses.
    /// </summary>
    public TcpEndpointOptions Defaults { get; } = new();

    /// <summary>
    /// Endpoints by name; names ignore case. An object put here directly does not inherit from <see cref="Defaults"/>:
    /// <see cref="AddEndpoint"/> does.
    /// </summary>
    public IDictionary<string, TcpEndpointOptions> Endpoints { get; } =
        new Dictionary<string, TcpEndpointOptions>(StringComparer.OrdinalIgnoreCase);

    /// <summary>Where these settings come from, for the path in front of every fault.</summary>
    internal string ConfigurationPath { get; set; } = DefaultPath;

    /// <summary>What could not be bound. Kept here so that it is reported in one message with what the ranges refuse.</summary>
    internal List<string> BindingFaults { get; } = [];

    /// <summary>Full paths of the settings that configuration gave a value. Kept here to be of the very read that was bound.</summary>
    internal HashSet<string> BoundKeys { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Adds an endpoint, or goes on with the one of that name.</summary>
    /// <param name="name">Its name. Not empty, no <c>:</c>, no surrounding space; case is ignored.</param>
    /// <param name="configure">
    /// Gets the endpoint that is there already, or else a copy of <see cref="Defaults"/> as they are now:
    /// set the defaults first.
    /// </param>
    /// <returns>These options.</returns>
    public PooledTcpOptions AddEndpoint(string name, Action<TcpEndpointOptions> configure)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        configure(GetOrAdd(name));
        return this;
    }

    internal TcpEndpointOptions GetOrAdd(string name)
    {
        if (!Endpoints.TryGetValue(name, out var endpoint))
        {
            endpoint = Defaults.Clone();
            Endpoints.Add(name, endpoint);
        }

        return endpoint;
    }
}
