namespace PooledTcp;

/// <summary>How an endpoint's failing dials are held back, and leases that do not come back told of. Changes apply at once.</summary>
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
        LeaseWarningAfter = LeaseWarningAfter,
        CaptureLeaseStacks = CaptureLeaseStacks,
    };
}
