using Microsoft.Extensions.Configuration;

namespace PooledTcp.Configuration;

/// <summary>
/// The settings of an endpoint as configuration spells them. A whole-object <c>Bind</c> stops at the first value that it
/// cannot convert and appends to lists; here every setting is bound by itself, so that all faults are seen.
/// </summary>
internal static class EndpointBinder
{
    private static readonly Setters<TcpEndpointOptions> Endpoint = new()
    {
        [nameof(TcpEndpointOptions.Address)] = static (o, r) => o.Address = r.Text(),
        [nameof(TcpEndpointOptions.MaxConnections)] = static (o, r) => o.MaxConnections = r.Whole(o.MaxConnections),
        [nameof(TcpEndpointOptions.MinIdleConnections)] = static (o, r) => o.MinIdleConnections = r.Whole(o.MinIdleConnections),
        [nameof(TcpEndpointOptions.MaxConnecting)] = static (o, r) => o.MaxConnecting = r.Whole(o.MaxConnecting),
        [nameof(TcpEndpointOptions.MaxWaiters)] = static (o, r) => o.MaxWaiters = r.Whole(o.MaxWaiters),
        [nameof(TcpEndpointOptions.RentTimeout)] = static (o, r) => o.RentTimeout = r.TimeOrInfinite(o.RentTimeout),
        [nameof(TcpEndpointOptions.ConnectTimeout)] = static (o, r) => o.ConnectTimeout = r.Time(o.ConnectTimeout),
        [nameof(TcpEndpointOptions.DnsRefreshInterval)] = static (o, r) => o.DnsRefreshInterval = r.TimeOrInfinite(o.DnsRefreshInterval),
        [nameof(TcpEndpointOptions.IdleTimeout)] = static (o, r) => o.IdleTimeout = r.TimeOrInfinite(o.IdleTimeout),
        [nameof(TcpEndpointOptions.RetentionPeriod)] = static (o, r) => o.RetentionPeriod = r.TimeOrInfinite(o.RetentionPeriod),
        [nameof(TcpEndpointOptions.Lifetime)] = static (o, r) => o.Lifetime = r.TimeOrInfinite(o.Lifetime),
        [nameof(TcpEndpointOptions.LifetimeJitter)] = static (o, r) => o.LifetimeJitter = r.Fraction(o.LifetimeJitter),
        [nameof(TcpEndpointOptions.MaxUses)] = static (o, r) => o.MaxUses = r.WholeOrNull(o.MaxUses),
        [nameof(TcpEndpointOptions.AllowOneWay)] = static (o, r) => o.AllowOneWay = r.Switch(o.AllowOneWay),
        [nameof(TcpEndpointOptions.NoDelay)] = static (o, r) => o.NoDelay = r.Switch(o.NoDelay),
        [nameof(TcpEndpointOptions.UserTimeout)] = static (o, r) => o.UserTimeout = r.Time(o.UserTimeout),
        [nameof(TcpEndpointOptions.KeepAlive)] = static (o, r) => Bind(r.Section, o.KeepAlive, KeepAlive!, r.Faults, r.Keys),
        [nameof(TcpEndpointOptions.Tls)] = static (o, r) => Bind(r.Section, o.Tls, Tls!, r.Faults, r.Keys),
        [nameof(TcpEndpointOptions.Health)] = static (o, r) => Bind(r.Section, o.Health, Health!, r.Faults, r.Keys),
        [nameof(TcpEndpointOptions.Shutdown)] = static (o, r) => Bind(r.Section, o.Shutdown, Shutdown!, r.Faults, r.Keys),
        [nameof(TcpEndpointOptions.Ports)] = static (o, r) => Bind(r.Section, o.Ports, Ports!, r.Faults, r.Keys),
    };

    private static readonly Setters<TcpKeepAliveOptions> KeepAlive = new()
    {
        [nameof(TcpKeepAliveOptions.Time)] = static (o, r) => o.Time = r.Time(o.Time),
        [nameof(TcpKeepAliveOptions.Interval)] = static (o, r) => o.Interval = r.Time(o.Interval),
        [nameof(TcpKeepAliveOptions.Count)] = static (o, r) => o.Count = r.Whole(o.Count),
    };

    private static readonly Setters<TcpTlsOptions> Tls = new()
    {
        [nameof(TcpTlsOptions.Enabled)] = static (o, r) => o.Enabled = r.Switch(o.Enabled),
        [nameof(TcpTlsOptions.TargetHost)] = static (o, r) => o.TargetHost = r.Text(),
        [nameof(TcpTlsOptions.Protocols)] = static (o, r) => o.Protocols = r.Protocols(o.Protocols),
        [nameof(TcpTlsOptions.ApplicationProtocols)] = static (o, r) => r.List(o.ApplicationProtocols),
        [nameof(TcpTlsOptions.CheckRevocation)] = static (o, r) => o.CheckRevocation = r.Switch(o.CheckRevocation),
        [nameof(TcpTlsOptions.ClientCertificatePath)] = static (o, r) => o.ClientCertificatePath = r.Text(),
        [nameof(TcpTlsOptions.ClientCertificateKeyPath)] = static (o, r) => o.ClientCertificateKeyPath = r.Text(),
        [nameof(TcpTlsOptions.ClientCertificatePassword)] = static (o, r) => o.ClientCertificatePassword = r.Text(),
    };

    private static readonly Setters<TcpHealthOptions> Health = new()
    {
        [nameof(TcpHealthOptions.FailuresToOpen)] = static (o, r) => o.FailuresToOpen = r.Whole(o.FailuresToOpen),
        [nameof(TcpHealthOptions.MaxBackoff)] = static (o, r) => o.MaxBackoff = r.Time(o.MaxBackoff),
        [nameof(TcpHealthOptions.VerifyAfter)] = static (o, r) => o.VerifyAfter = r.TimeOrNull(o.VerifyAfter),
        [nameof(TcpHealthOptions.Probe)] = static (o, r) => o.Probe = r.Text(),
        [nameof(TcpHealthOptions.ProbeReply)] = static (o, r) => o.ProbeReply = r.Text(),
        [nameof(TcpHealthOptions.ProbeInterval)] = static (o, r) => o.ProbeInterval = r.Time(o.ProbeInterval),
        [nameof(TcpHealthOptions.ProbeTimeout)] = static (o, r) => o.ProbeTimeout = r.Time(o.ProbeTimeout),

        [nameof(TcpHealthOptions.LeaseWarningAfter)] = static (o, r) => o.LeaseWarningAfter = r.TimeOrInfinite(o.LeaseWarningAfter),
        [nameof(TcpHealthOptions.CaptureLeaseStacks)] = static (o, r) => o.CaptureLeaseStacks = r.Switch(o.CaptureLeaseStacks),
    };

    private static readonly Setters<TcpShutdownOptions> Shutdown = new()
    {
        [nameof(TcpShutdownOptions.ClosesFirst)] = static (o, r) => o.ClosesFirst = r.OneOf(o.ClosesFirst),
        [nameof(TcpShutdownOptions.Goodbye)] = static (o, r) => o.Goodbye = r.Text(),
        [nameof(TcpShutdownOptions.GoodbyeTimeout)] = static (o, r) => o.GoodbyeTimeout = r.Time(o.GoodbyeTimeout),
        [nameof(TcpShutdownOptions.ServerCloseTimeout)] = static (o, r) => o.ServerCloseTimeout = r.Time(o.ServerCloseTimeout),
        [nameof(TcpShutdownOptions.DrainTimeout)] = static (o, r) => o.DrainTimeout = r.Time(o.DrainTimeout),
        [nameof(TcpShutdownOptions.AllowQuietClose)] = static (o, r) => o.AllowQuietClose = r.Switch(o.AllowQuietClose),
        [nameof(TcpShutdownOptions.AllowAbort)] = static (o, r) => o.AllowAbort = r.Switch(o.AllowAbort),
    };

    private static readonly Setters<TcpPortOptions> Ports = new()
    {
        [nameof(TcpPortOptions.Range)] = static (o, r) => o.Range = r.Text(),
        [nameof(TcpPortOptions.SourceAddresses)] = static (o, r) => r.List(o.SourceAddresses),
        [nameof(TcpPortOptions.TimeWaitShare)] = static (o, r) => o.TimeWaitShare = r.Fraction(o.TimeWaitShare),
        [nameof(TcpPortOptions.Budget)] = static (o, r) => o.Budget = r.WholeOrNull(o.Budget),
    };

    private static readonly Setters<TcpTelemetryOptions> Telemetry = new()
    {
        [nameof(TcpTelemetryOptions.ServerAddress)] = static (o, r) => o.ServerAddress = r.Switch(o.ServerAddress),
        [nameof(TcpTelemetryOptions.LeaseSpans)] = static (o, r) => o.LeaseSpans = r.Switch(o.LeaseSpans),
        [nameof(TcpTelemetryOptions.SocketCount)] = static (o, r) => o.SocketCount = r.Switch(o.SocketCount),
    };

    /// <summary>The settings of the client's telemetry, by name.</summary>
    public static IEnumerable<string> TelemetryKeys => Telemetry.Keys;

    /// <summary>Every setting that configuration knows, with its path below the endpoint.</summary>
    public static IEnumerable<string> Paths =>
        Endpoint.Keys.SelectMany(static key => key switch
        {
            nameof(TcpEndpointOptions.KeepAlive) => Below(key, KeepAlive.Keys),
            nameof(TcpEndpointOptions.Tls) => Below(key, Tls.Keys),
            nameof(TcpEndpointOptions.Health) => Below(key, Health.Keys),
            nameof(TcpEndpointOptions.Shutdown) => Below(key, Shutdown.Keys),
            nameof(TcpEndpointOptions.Ports) => Below(key, Ports.Keys),
            _ => [key],
        });

    public static void Bind(IConfigurationSection section, TcpEndpointOptions options, List<string> faults, HashSet<string> keys) =>
        Bind(section, options, Endpoint, faults, keys);

    public static void Bind(IConfigurationSection section, TcpTelemetryOptions options, List<string> faults, HashSet<string> keys) =>
        Bind(section, options, Telemetry, faults, keys);

    private static IEnumerable<string> Below(string section, IEnumerable<string> keys) => keys.Select(key => $"{section}:{key}");

    private static void Bind<T>(
        IConfigurationSection section, T options, Setters<T> setters, List<string> faults, HashSet<string> keys)
    {
        foreach (var child in SettingReader.ChildrenOf(section, setters.Keys, faults))
        {
            if (setters.TryGetValue(child.Key, out var set))
            {
                set(options, new SettingReader(child, faults, keys));
                if (!IsSection(child.Key))
                {
                    keys.Add(child.Path);
                }
            }
            else
            {
                faults.Add(SettingReader.Unknown(child, setters.Keys));
            }
        }
    }

    private static bool IsSection(string key) =>
        key.Equals(nameof(TcpEndpointOptions.KeepAlive), StringComparison.OrdinalIgnoreCase)
        || key.Equals(nameof(TcpEndpointOptions.Tls), StringComparison.OrdinalIgnoreCase)
        || key.Equals(nameof(TcpEndpointOptions.Health), StringComparison.OrdinalIgnoreCase)
        || key.Equals(nameof(TcpEndpointOptions.Shutdown), StringComparison.OrdinalIgnoreCase)
        || key.Equals(nameof(TcpEndpointOptions.Ports), StringComparison.OrdinalIgnoreCase);

    private sealed class Setters<T>() : Dictionary<string, Action<T, SettingReader>>(StringComparer.OrdinalIgnoreCase);
}
