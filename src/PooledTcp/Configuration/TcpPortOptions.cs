namespace PooledTcp;

/// <summary>
/// From which local addresses and ports an endpoint connects, and how many of the ports its TIME-WAITs may hold. A changed
/// <see cref="Range"/> or <see cref="SourceAddresses"/> starts a new generation of connections; the rest applies at once.
/// No effect on unix sockets; nor, but for the share, on what a <see cref="TcpEndpointOptions.ConnectCallback"/> connects.
/// </summary>
public sealed class TcpPortOptions
{
    /// <summary>
    /// The slice of the system's ephemeral ports to connect from (IP_LOCAL_PORT_RANGE, Linux 6.3; elsewhere not used). It keeps
    /// our TIME-WAITs off the other ports; it does not keep others out of these.
    /// </summary>
    /// <value>
    /// Lowest and highest port, <c>40000-40999</c>, within 1,024 to 65,535. Only what lies in the system's range
    /// (net.ipv4.ip_local_port_range) is used; the kernel silently ignores a slice that lies wholly outside it, so that is a
    /// fault. Null for the system's range. Default: null.
    /// </value>
    public string? Range { get; set; }

    /// <summary>
    /// Local addresses to connect from, the least used one first: each has all ports of its own to a destination. A list in
    /// configuration replaces an inherited one as a whole; an empty list clears it. Used where IP_BIND_ADDRESS_NO_PORT is (Linux 4.2).
    /// </summary>
    /// <value>
    /// IP literals, all IPv4 or all IPv6, none twice, no wildcard. Default: empty, which leaves the choice to the system; it
    /// always takes the same one.
    /// </value>
    public IList<string> SourceAddresses { get; private set; } = [];

    /// <summary>
    /// The part of the usable ports (of <see cref="Budget"/>, if that is smaller) that may be in TIME-WAIT at once, for each
    /// source address and destination.
    /// </summary>
    /// <value>
    /// A fraction, 0 to 1. Default: 0.25, which is 25 %. With 0 the client never keeps a TIME-WAIT, which
    /// <see cref="ClosesFirst.Client"/> cannot do without.
    /// </value>
    public double TimeWaitShare { get; set; } = 0.25;

    /// <summary>A number of ports to reckon with when it is less than this host has: that of a NAT gateway, say, whose ports we cannot see.</summary>
    /// <value>1 to 65,535; null for what this host has. Default: null.</value>
    public int? Budget { get; set; }

    internal TcpPortOptions Clone() => new()
    {
        Range = Range,
        SourceAddresses = [.. SourceAddresses],
        TimeWaitShare = TimeWaitShare,
        Budget = Budget,
    };
}
