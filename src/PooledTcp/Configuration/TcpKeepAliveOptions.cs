namespace PooledTcp;

/// <summary>
/// When the kernel asks an idle peer whether it is still there. The defaults find a vanished peer after 35 to 40 s and
/// stay below the idle limits of load balancers and NAT gateways (AWS 350 s, Azure 240 s). No effect on unix sockets.
/// </summary>
public sealed class TcpKeepAliveOptions
{
    /// <summary>
    /// Idle time before the first probe (TCP_KEEPIDLE). Each connection takes up to half of it off, at random (that half rounded up to
    /// whole seconds): those that were last used together would otherwise all be probed at once, and what a kernel's queue cannot hold of
    /// that is lost.
    /// </summary>
    /// <value>Whole seconds, 1 s to 32,767 s, which is the kernel's limit. Default: 20 s.</value>
    public TimeSpan Time { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>Time between probes (TCP_KEEPINTVL).</summary>
    /// <value>Whole seconds, 1 s to 32,767 s, which is the kernel's limit. Default: 5 s.</value>
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Unanswered probes after which the connection is dead (TCP_KEEPCNT).</summary>
    /// <value>1 to 127, which is the kernel's limit. Default: 3.</value>
    public int Count { get; set; } = 3;

    internal TcpKeepAliveOptions Clone() => new() { Time = Time, Interval = Interval, Count = Count };
}
