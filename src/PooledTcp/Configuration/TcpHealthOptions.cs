namespace PooledTcp;

/// <summary>How leases of an endpoint that are out for long or never return are told of. Changes apply at once.</summary>
public sealed class TcpHealthOptions
{
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
        LeaseWarningAfter = LeaseWarningAfter,
        CaptureLeaseStacks = CaptureLeaseStacks,
    };
}
