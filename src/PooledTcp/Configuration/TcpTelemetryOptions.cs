namespace PooledTcp;

/// <summary>
/// What a client tells of itself beyond what costs nothing, on the meter and the activity sources named <c>PooledTcp</c>.
/// Changes apply at once.
/// </summary>
public sealed class TcpTelemetryOptions
{
    /// <summary>
    /// Whether metrics carry <c>server.address</c> and <c>server.port</c>. Without them the series of a pool that moves from
    /// one address to another go on. Spans carry them in any case.
    /// </summary>
    /// <value>
    /// Default: true. Pools of addresses that are not configured share the name <c>ad_hoc</c>; of them the first 50 addresses
    /// of a process are told apart, and no more, as keys may be unbounded and the OpenTelemetry SDK stops at 2,000 series.
    /// </value>
    public bool ServerAddress { get; set; } = true;

    /// <summary>
    /// A span for each lease, from rent to return, as a child of the caller's. On a pool that is used a lot this doubles the
    /// spans of a trace.
    /// </summary>
    /// <value>Default: false.</value>
    public bool LeaseSpans { get; set; }

    /// <summary>
    /// The metric <c>pooled_tcp.socket.count</c>: this host's sockets towards the addresses in use, by TCP state, those of
    /// other processes included. Counting them is a walk through the kernel's tables, milliseconds on a host with many sockets;
    /// it is done when the metric is collected, at most every 5 s.
    /// </summary>
    /// <value>Default: false.</value>
    public bool SocketCount { get; set; }
}
