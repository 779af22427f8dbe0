using System.Globalization;

namespace PooledTcp.Ports;

/// <summary>
/// What the operating system does with local ports, as far as it says so. Null is "unknown". Never written: these are
/// settings of the whole host, and none of them is needed by a client that lets the right side close first.
/// </summary>
internal sealed record KernelPortSettings
{
    /// <summary>IANA's dynamic ports (RFC 6335), assumed where the system does not tell; also the default of Windows and macOS.</summary>
    public static readonly PortRange DynamicPorts = new(49152, 65535);

    /// <summary>
    /// Timers of Linux are coarse and end up to one step of their wheel late. For 60 s that is 2.05 s at 250 interrupts a second,
    /// 4.1 s at 1,000 and 5.12 s at 100, and no file that is always there tells which. (Measured at 250, 2,000 closes a second: 32
    /// TIME_WAITs more than the account of 7,058 knew of when it reckoned with 62 s.)
    /// </summary>
    private static readonly TimeSpan TimerSlack = TimeSpan.FromSeconds(5.2);

    private static readonly TimeSpan LinuxTimeWait = TimeSpan.FromSeconds(60);

    /// <summary>Where the values come from, in words.</summary>
    public required string Origin { get; init; }

    /// <summary>The ports automatic selection draws from (<c>ip_local_port_range</c>).</summary>
    public PortRange? Range { get; init; }

    /// <summary>Ports that only an explicit bind can take (<c>ip_local_reserved_ports</c>), ascending.</summary>
    public IReadOnlyList<PortRange> Reserved { get; init; } = [];

    /// <summary>0 never, 1 always, 2 only between loopback addresses (<c>tcp_tw_reuse</c>).</summary>
    public int? TimeWaitReuse { get; init; }

    /// <summary>How old a TIME_WAIT must be before it is reused (<c>tcp_tw_reuse_delay</c>, Linux 6.14).</summary>
    public TimeSpan? TimeWaitReuseDelay { get; init; }

    /// <summary>0 off, else on (<c>tcp_timestamps</c>); reuse of a TIME_WAIT needs them.</summary>
    public int? Timestamps { get; init; }

    /// <summary>How long a closed connection waits for the peer's FIN (<c>tcp_fin_timeout</c>).</summary>
    public TimeSpan? FinTimeout { get; init; }

    /// <summary>How many TIME_WAITs the host keeps; closes beyond it skip the state (<c>tcp_max_tw_buckets</c>).</summary>
    public int? MaxTimeWaits { get; init; }

    /// <summary>How long a TIME_WAIT lasts: a constant in Linux, a documented default elsewhere.</summary>
    public TimeSpan? TimeWaitLength { get; init; }

    /// <summary>The range to reckon with: the system's, or <see cref="DynamicPorts"/> where it is unknown.</summary>
    public PortRange AssumedRange => Range ?? DynamicPorts;

    /// <summary>When a port that went into TIME_WAIT can be counted on again.</summary>
    public TimeSpan TimeWaitHold => (TimeWaitLength ?? LinuxTimeWait) + TimerSlack;

    public static KernelPortSettings Windows { get; } = new()
    {
        Origin = "documented defaults of Windows, not read from this host",
        Range = DynamicPorts,
        TimeWaitLength = TimeSpan.FromSeconds(120),
    };

    public static KernelPortSettings MacOS { get; } = new()
    {
        Origin = "documented defaults of macOS, not read from this host",
        Range = DynamicPorts,
        TimeWaitLength = TimeSpan.FromSeconds(30),
    };

    public static KernelPortSettings Unknown { get; } = new() { Origin = "unknown on this system" };

    /// <summary>The part of the range that one socket may be confined to; the whole range when nothing, or nothing inside it, is asked for.</summary>
    public PortRange Confine(PortRange? slice) =>
        slice is PortRange wanted ? AssumedRange.Intersect(wanted) ?? AssumedRange : AssumedRange;

    /// <summary>How many ports of the range automatic selection can hand out.</summary>
    public int CountUsable(PortRange range)
    {
        int count = range.Count;
        foreach (PortRange reserved in Reserved)
        {
            count -= range.Intersect(reserved)?.Count ?? 0;
        }

        return count;
    }

    /// <summary>One sentence per setting, for error messages and the stats page.</summary>
    public IReadOnlyList<string> Explain()
    {
        var lines = new List<string>
        {
            $"Source: {Origin}.",
            Range is PortRange range
                ? Say($"Ephemeral ports {range}: {CountUsable(range):N0} usable per source address, destination address and port.")
                : Say($"Ephemeral ports: unknown; {DynamicPorts} assumed."),
        };
        if (Reserved.Count > 0)
        {
            lines.Add($"Reserved, never chosen automatically: {string.Join(',', Reserved)}.");
        }

        if (TimeWaitLength is TimeSpan length)
        {
            lines.Add(Say($"The side that closes first keeps its port for {length.TotalSeconds:0} s (TIME_WAIT): at most {CountUsable(AssumedRange) / length.TotalSeconds:0} such closes per second to one destination."));
        }

        if (TimeWaitReuse is int reuse)
        {
            lines.Add(ExplainReuse(reuse));
        }

        if (FinTimeout is TimeSpan fin)
        {
            lines.Add(Say($"tcp_fin_timeout = {fin.TotalSeconds:0}: a closed connection whose peer never closes holds its port that many seconds."));
        }

        if (MaxTimeWaits is int max)
        {
            lines.Add(Say($"tcp_max_tw_buckets = {max:N0}: closes beyond it skip TIME_WAIT and its protection."));
        }

        return lines;
    }

    private string ExplainReuse(int reuse)
    {
        string delay = Say($"after {(TimeWaitReuseDelay ?? TimeSpan.FromSeconds(1)).TotalMilliseconds:0} ms");
        string text = reuse switch
        {
            0 => "tcp_tw_reuse = 0: a port in TIME_WAIT is not given to a new connection.",
            1 => $"tcp_tw_reuse = 1: a new connection may take over a port in TIME_WAIT {delay}.",
            2 => $"tcp_tw_reuse = 2: a port in TIME_WAIT is taken over {delay}, but only between loopback addresses; not on a network.",
            _ => Say($"tcp_tw_reuse = {reuse}."),
        };
        return reuse != 0 && Timestamps == 0 ? text + " Without effect: tcp_timestamps = 0." : text;
    }

    private static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
