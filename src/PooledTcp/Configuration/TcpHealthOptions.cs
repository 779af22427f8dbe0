namespace PooledTcp;

/// <summary>
/// How an endpoint's idle connections are checked, its failing dials held back, and leases that do not come back told of.
/// Changes apply at once.
/// </summary>
public sealed class TcpHealthOptions
{
    /// <summary>
    /// After so many failed dials in a row an address is left alone (its breaker is open) and tried again by one dial at a
    /// time. When that is true of every address of the endpoint, a rent that would need a dial fails at once. Idle connections
    /// are lent all the same. Failures of this host (no local port, no descriptor, no buffer, no permission) do not count.
    /// </summary>
    /// <value>1 to 1,000,000. Default: 5, as in Envoy's outlier detection.</value>
    public int FailuresToOpen { get; set; } = 5;

    /// <summary>
    /// The longest pause before a failing address is dialed again. Pauses begin at 100 ms, double with each failed dial, and
    /// are shortened at random by up to a half, so that many clients do not come back together.
    /// </summary>
    /// <value>100 ms to 1 h. Default: 5 s: a server that is back is used again within 5 s.</value>
    public TimeSpan MaxBackoff { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// A connection that has idled so long is checked once more when it is rented: the kernel tells whether the peer still
    /// acknowledges (TCP_INFO, Linux; under a microsecond). One whose peer does not is aborted, as <c>vanished</c>, and the
    /// rent takes another.
    /// </summary>
    /// <value>
    /// 100 ms to 1 day, or <see cref="Timeout.InfiniteTimeSpan"/> for never. Null is KeepAlive Time + Interval x Count (35 s):
    /// before that the age of the last acknowledgement proves nothing. Default: null.
    /// </value>
    public TimeSpan? VerifyAfter { get; set; }

    /// <summary>
    /// A question that idle connections are asked now and then, and that a live server answers at once. It keeps middleboxes
    /// from forgetting a connection and finds servers that hang, which TCP's own keepalive does not.
    /// </summary>
    /// <value>
    /// <c>redis</c> (PING), <c>memcached</c> (version, text protocol); or <c>raw:</c> and 1 to 1,024 bytes, written as in
    /// <see cref="TcpShutdownOptions.Goodbye"/>, with <see cref="ProbeReply"/>. Null for none. Default: null.
    /// </value>
    public string? Probe { get; set; }

    /// <summary>The answer to a <c>raw:</c> probe, byte for byte. Another answer, a longer one or none closes the connection.</summary>
    /// <value><c>raw:</c> and 1 to 1,024 bytes. Required with a <c>raw:</c> probe, refused otherwise. Default: null.</value>
    public string? ProbeReply { get; set; }

    /// <summary>
    /// A probe from code; it goes before <see cref="Probe"/>. Not bound from configuration, and settled when the endpoint's
    /// pool is made; with dependency injection <c>WithProbe&lt;T&gt;()</c> overrides it.
    /// </summary>
    /// <value>Default: null.</value>
    public IConnectionProbe? ProbeProvider { get; set; }

    /// <summary>How long a connection idles before it is probed, and then from probe to probe; up to a fifth of it is taken off at random.</summary>
    /// <value>
    /// 1 s to 1 day. Default: 30 s, HikariCP's shortest keepaliveTime: with <see cref="TcpEndpointOptions.IdleTimeout"/> at
    /// 90 s that is two or three probes, which do not prolong the idle time.
    /// </value>
    public TimeSpan ProbeInterval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long an answer may take; then the connection is closed.</summary>
    /// <value>1 ms to 1 h. Default: 1 s.</value>
    public TimeSpan ProbeTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A lease that is out for so long is logged once, as <c>pooled_tcp.lease.overdue</c>, with its age. Nothing else happens
    /// to it.
    /// </summary>
    /// <value>
    /// 1 s to 1 day, or <see cref="Timeout.InfiniteTimeSpan"/> for no warning. Default: <see cref="Timeout.InfiniteTimeSpan"/>,
    /// since only the protocol's author knows how long an exchange may take. The age is exact to about a second, and the
    /// warning comes up to a quarter of this later, 5 s at most.
    /// </value>
    public TimeSpan LeaseWarningAfter { get; set; } = Timeout.InfiniteTimeSpan;

    /// <summary>
    /// Notes the call stack of every rent, for the reports of leases that are out for long or were lost. For the hunt after a
    /// leak: it makes a rent several times as dear, and allocate.
    /// </summary>
    /// <value>Default: false. It applies to rents from then on.</value>
    public bool CaptureLeaseStacks { get; set; }

    internal TcpHealthOptions Clone() => new()
    {
        FailuresToOpen = FailuresToOpen,
        MaxBackoff = MaxBackoff,
        VerifyAfter = VerifyAfter,
        Probe = Probe,
        ProbeReply = ProbeReply,
        ProbeProvider = ProbeProvider,
        ProbeInterval = ProbeInterval,
        ProbeTimeout = ProbeTimeout,

        LeaseWarningAfter = LeaseWarningAfter,
        CaptureLeaseStacks = CaptureLeaseStacks,
    };
}
