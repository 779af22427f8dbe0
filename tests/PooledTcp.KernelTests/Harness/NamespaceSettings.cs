namespace PooledTcp.KernelTests.Harness;

/// <summary>
/// How the namespace of a scenario looks. 10.99.0.1 and 10.99.0.2 rather than 127.0.0.1: there the default
/// tcp_tw_reuse = 2 hands out TIME_WAIT ports again after a second and hides the outage (tcp-facts section 3).
/// </summary>
public sealed record NamespaceSettings
{
    public const string Server = "10.99.0.1";
    public const string Second = "10.99.0.2";

    /// <summary>64 ports, so that the outage takes milliseconds.</summary>
    public static NamespaceSettings SmallRange { get; } = Counted.With("ip_local_port_range", "40000 40063");

    /// <summary>What a host has by default.</summary>
    public static NamespaceSettings FullRange { get; } = Counted.With("ip_local_port_range", "32768 60999");

    /// <summary>As it is, or for a second process in a namespace that is furnished already.</summary>
    public static NamespaceSettings Bare => Counted with { Addresses = [] };

    // Without tcp_rfc1337 a busy machine ends a few TIME_WAITs early (measured: 2 of 10,800; with it 0 of 43,200): a tail loss
    // probe finds the other side's socket gone, and is answered by a reset. The counts of the tests are exact.
    private static NamespaceSettings Counted => new NamespaceSettings().With("tcp_rfc1337", "1");

    /// <summary>Addresses of lo, beside 127.0.0.1 and ::1.</summary>
    public IReadOnlyList<string> Addresses { get; init; } = [Server, Second];

    /// <summary>File below /proc/sys/net/ipv4, and what to write into it.</summary>
    public IReadOnlyDictionary<string, string> Sysctls { get; init; } = new Dictionary<string, string>();

    public NamespaceSettings With(string sysctl, string value) =>
        this with { Sysctls = new Dictionary<string, string>(Sysctls) { [sysctl] = value } };
}
