using PooledTcp.Ports;

namespace PooledTcp.Configuration;

/// <summary>Checks one endpoint's options and makes its settings. What it makes is only good if no fault was added.</summary>
internal static class EndpointSettingsFactory
{
    public const int MaxCount = 1_000_000;

    // More than half would retire connections that have hardly paid for their dial.
    private const double MaxJitter = 0.5;

    // Linux: MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL; setsockopt refuses more.
    private const int MaxKeepAliveSeconds = 32_767;

    // Linux: MAX_TCP_KEEPCNT.
    private const int MaxKeepAliveCount = 127;

    private static readonly TimeSpan Millisecond = TimeSpan.FromMilliseconds(1);

    // Below some 40 ms a connection expires between the look at the clock and the caller's first byte.
    private static readonly TimeSpan ShortestLife = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    // Timers end at 49.7 days (2^32 ms).
    private static readonly TimeSpan Month = TimeSpan.FromDays(30);

    private static readonly EndpointAddress NoAddress = new() { Host = "", Port = 0, IsUnix = false };

    public static PoolSettings Create(TcpEndpointOptions options, bool isDefaults, Func<KernelPortSettings> kernel, SettingFaults faults)
    {
        var address = ReadAddress(options.Address, isDefaults, faults);
        CheckLimits(options, faults);
        CheckTimes(options, faults);
        CheckSocket(options, faults);
        EndpointAddress? known = address == NoAddress ? null : address;
        return new PoolSettings
        {
            Address = address,
            MaxConnections = options.MaxConnections,
            MinIdleConnections = options.MinIdleConnections,
            MaxConnecting = options.MaxConnecting,
            MaxWaiters = options.MaxWaiters,
            RentTimeout = options.RentTimeout,
            ConnectTimeout = options.ConnectTimeout,
            DnsRefreshInterval = options.DnsRefreshInterval,
            IdleTimeout = options.IdleTimeout,
            RetentionPeriod = options.RetentionPeriod,
            Lifetime = options.Lifetime,
            LifetimeJitter = options.LifetimeJitter,
            MaxUses = options.MaxUses ?? int.MaxValue,
            AllowOneWay = options.AllowOneWay,
            Socket = new SocketSettings(
                options.NoDelay, options.KeepAlive.Time, options.KeepAlive.Interval, options.KeepAlive.Count, options.UserTimeout),
            Tls = TlsSettingsFactory.Create(options.Tls, known, faults),
            Health = HealthSettingsFactory.Create(options.Health, faults),
            Shutdown = ShutdownSettingsFactory.Create(options.Shutdown, faults),
            Ports = PortPolicyFactory.Create(options.Ports, known, options.Shutdown.ClosesFirst, kernel, faults),
        };
    }

    private static EndpointAddress ReadAddress(string? text, bool isDefaults, SettingFaults faults)
    {
        if (isDefaults)
        {
            if (text is not null)
            {
                faults.Add(
                    nameof(TcpEndpointOptions.Address),
                    $"\"{EndpointAddressParser.Shown(text)}\" stands in the defaults; an address belongs to an endpoint.");
            }

            return NoAddress;
        }

        if (text is null)
        {
            faults.Add(
                nameof(TcpEndpointOptions.Address), "is required: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path.");
            return NoAddress;
        }

        if (EndpointAddress.TryParse(text, out var address, out var error))
        {
            return address;
        }

        faults.Add(nameof(TcpEndpointOptions.Address), $"\"{EndpointAddressParser.Shown(text)}\" {error}.");
        return NoAddress;
    }

    private static void CheckLimits(TcpEndpointOptions options, SettingFaults faults)
    {
        faults.Range(nameof(options.MaxConnections), options.MaxConnections, 1, MaxCount);
        faults.Range(nameof(options.MinIdleConnections), options.MinIdleConnections, 0, MaxCount);
        faults.Range(nameof(options.MaxConnecting), options.MaxConnecting, 1, MaxCount);
        faults.Range(nameof(options.MaxWaiters), options.MaxWaiters, 0, MaxCount, "0 makes every rent fail that would have to wait for others.");
        if (options.MaxUses is { } maxUses)
        {
            faults.Range(nameof(options.MaxUses), maxUses, 1, int.MaxValue, "Leave it out (null) for no limit.");
        }

        if (options.MinIdleConnections is > 0 and <= MaxCount && options.MaxConnections >= 1
            && options.MinIdleConnections > options.MaxConnections)
        {
            faults.Add(
                nameof(options.MinIdleConnections),
                $"{options.MinIdleConnections} is more than MaxConnections, which is {options.MaxConnections}.");
        }
    }

    private static void CheckTimes(TcpEndpointOptions options, SettingFaults faults)
    {
        faults.Range(
            nameof(options.RentTimeout), options.RentTimeout, Millisecond, Hour,
            "TryRent takes a connection without waiting.", infinite: true);
        faults.Range(nameof(options.ConnectTimeout), options.ConnectTimeout, Millisecond, Hour);
        faults.Range(nameof(options.DnsRefreshInterval), options.DnsRefreshInterval, Second, Day, infinite: true);
        faults.Range(nameof(options.IdleTimeout), options.IdleTimeout, ShortestLife, Day, infinite: true);
        faults.Range(nameof(options.RetentionPeriod), options.RetentionPeriod, Second, Day, infinite: true);
        faults.Range(nameof(options.Lifetime), options.Lifetime, ShortestLife, Month, infinite: true);

        // Written so that NaN fails too.
        if (!(options.LifetimeJitter is >= 0 and <= MaxJitter))
        {
            faults.Add(
                nameof(options.LifetimeJitter),
                FormattableString.Invariant($"{options.LifetimeJitter} is not in the range 0 to {MaxJitter}. It is a fraction: 0.1 is 10 %."));
        }
    }

    private static void CheckSocket(TcpEndpointOptions options, SettingFaults faults)
    {
        var before = faults.Found;
        var keepAlive = options.KeepAlive;
        CheckSeconds($"{nameof(options.KeepAlive)}:{nameof(keepAlive.Time)}", keepAlive.Time, faults);
        CheckSeconds($"{nameof(options.KeepAlive)}:{nameof(keepAlive.Interval)}", keepAlive.Interval, faults);
        faults.Range($"{nameof(options.KeepAlive)}:{nameof(keepAlive.Count)}", keepAlive.Count, 1, MaxKeepAliveCount);
        if (options.UserTimeout != TimeSpan.Zero)
        {
            faults.Range(
                nameof(options.UserTimeout), options.UserTimeout, Millisecond, Day, "00:00:00 leaves it to the kernel.");
        }

        // Only over values in their range: the product of absurd ones overflows.
        if (faults.Found > before || options.UserTimeout == TimeSpan.Zero)
        {
            return;
        }

        var detection = keepAlive.Time + (keepAlive.Interval * keepAlive.Count);
        if (options.UserTimeout < detection)
        {
            faults.Add(
                nameof(options.UserTimeout),
                $"{SettingFaults.Show(options.UserTimeout)} is less than KeepAlive Time + Interval x Count, which is "
                + $"{SettingFaults.Show(detection)}: one lost probe would kill a healthy connection.");
        }
    }

    private static void CheckSeconds(string setting, TimeSpan value, SettingFaults faults)
    {
        var before = faults.Found;
        faults.Range(setting, value, Second, TimeSpan.FromSeconds(MaxKeepAliveSeconds));
        if (faults.Found == before && value.Ticks % TimeSpan.TicksPerSecond != 0)
        {
            faults.Add(setting, $"{SettingFaults.Show(value)} is not in whole seconds, the kernel's unit.");
        }
    }
}
