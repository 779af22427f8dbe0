using System.Net;

namespace PooledTcp.Ports;

/// <summary>An endpoint's settings about local ports.</summary>
internal sealed record PortPolicy
{
    /// <summary>The slice of the system's range to draw from; null is all of it.</summary>
    public PortRange? Range { get; init; }

    /// <summary>Addresses to connect from; none leaves the choice to the kernel, which always picks the same one.</summary>
    public IReadOnlyList<IPAddress> SourceAddresses { get; init; } = [];

    /// <summary>The part of the usable ports that may be in TIME_WAIT at once, 0 to 1.</summary>
    public double TimeWaitShare { get; init; } = 0.25;

    /// <summary>A smaller number of ports to reckon with, for gateways whose ports we cannot see.</summary>
    public int? Budget { get; init; }

    /// <summary>How many of the usable ports this endpoint may reckon with.</summary>
    public int BudgetOf(int usable) => Math.Min(usable, Budget ?? usable);

    /// <summary>How many TIME_WAITs may be owed at once. Rounded down: the share is an upper bound.</summary>
    public int TokensOf(int usable) => (int)(TimeWaitShare * BudgetOf(usable));

    /// <summary>True when sockets dialed under <paramref name="other"/> come from the same addresses and ports; the rest is bookkeeping.</summary>
    public bool DialsLike(PortPolicy other) => Range == other.Range && SourceAddresses.SequenceEqual(other.SourceAddresses);

    // The list is another object after each reload.
    public bool Equals(PortPolicy? other) =>
        other is not null && DialsLike(other) && TimeWaitShare.Equals(other.TimeWaitShare) && Budget == other.Budget;

    public override int GetHashCode() => HashCode.Combine(Range, SourceAddresses.Count, TimeWaitShare, Budget);

    /// <summary>
    /// What is wrong with <see cref="Range"/> on this host, null when nothing is. The kernel would not complain: it
    /// ignores a range that lies wholly outside its own (tcp-facts section 3).
    /// </summary>
    public string? FindFault(KernelPortSettings kernel)
    {
        if (Range is not PortRange slice || kernel.Range is not PortRange system)
        {
            return null;
        }

        return system.Intersect(slice) is not PortRange common
            ? $"{slice} lies outside the system's ephemeral ports {system} (net.ipv4.ip_local_port_range); the kernel would ignore it."
            : kernel.CountUsable(common) <= 0
                ? $"{slice} holds only reserved ports (net.ipv4.ip_local_reserved_ports: {string.Join(',', kernel.Reserved)}); none could be used."
                : null;
    }
}
