using System.Globalization;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace PooledTcp.Hosting;

/// <summary>What a snapshot says about the health of an endpoint. A pure function; docs/hosting.md has it as a table.</summary>
/// <param name="Status">Degraded while callers are still served, some of them late or not; unhealthy when none is.</param>
/// <param name="Reason">Null when healthy. It goes to whoever may ask, so it carries figures and no text of anybody else.</param>
internal readonly record struct EndpointHealth(HealthStatus Status, string? Reason)
{
    /// <summary>A queue so full that the next burst is refused.</summary>
    public const double FullQueue = 0.8;

    /// <summary>What the ports' own watch takes for exhausted.</summary>
    public const double FullPorts = Ports.PortWatch.ExhaustedShare;

    /// <summary>
    /// For so long after a dial failed, an endpoint without connections stays unhealthy though the next rent may dial again: six
    /// pauses of the default MaxBackoff. A longer pause is unhealthy to its end by itself.
    /// </summary>
    public static readonly TimeSpan FailureCountsFor = TimeSpan.FromSeconds(30);

    public static EndpointHealth Of(TcpPoolSnapshot now, bool timedOutLately)
    {
        if (now.State is TcpPoolState.Draining or TcpPoolState.Closed)
        {
            return new EndpointHealth(HealthStatus.Unhealthy, "the client takes no more rents");
        }

        int failing = now.Addresses.Count(static address => address.BreakerState != BreakerState.Closed);
        if (now.BreakerState == BreakerState.Open && now.Idle + now.Used == 0)
        {
            return new EndpointHealth(HealthStatus.Unhealthy, "it cannot be reached and no connection is left, so rents fail at once");
        }

        if (now.BreakerState == BreakerState.HalfOpen && now.Idle + now.Used == 0 && (now.Connecting > 0 || now.LastConnectErrorAge < FailureCountsFor))
        {
            // Between two attempts at a server that is away nothing has become better: who says so brings the traffic back to
            // fail again, at each pause. Not for ever, though: with no traffic there is no rent, and with no rent no dial that
            // finds out.
            return new EndpointHealth(HealthStatus.Unhealthy, "it could not be reached, no connection is left, and no dial has succeeded since");
        }

        List<string> reasons = [];
        if (now.State == TcpPoolState.Paused)
        {
            reasons.Add("the pool is paused");
        }

        if (now.BreakerState == BreakerState.Open)
        {
            reasons.Add(Text($"it cannot be reached; {now.Idle + now.Used} connections are left"));
        }
        else if (now.BreakerState == BreakerState.HalfOpen)
        {
            reasons.Add("it could not be reached; the next rent tries again");
        }
        else if (failing > 0)
        {
            reasons.Add(Text($"{failing} of its {now.Addresses.Count} addresses cannot be reached"));
        }

        // MaxWaiters limits callers for whom no dial is running; with none allowed, a queue is never long.
        int queued = now.Waiting - now.Connecting;
        if (now.MaxWaiters > 0 && queued >= FullQueue * now.MaxWaiters)
        {
            reasons.Add(Text($"{now.Waiting} callers wait, of at most {now.MaxWaiters}"));
        }

        if (timedOutLately)
        {
            reasons.Add(Text($"rents time out ({now.Used} of {now.MaxConnections} connections in use, {now.Waiting} callers wait)"));
        }

        if (now.PortPressure >= FullPorts)
        {
            // Each address has its own ports: the sums over all would hide a full one behind empty ones.
            reasons.Add(Text($"{100 * now.PortPressure:0} % of the local ports towards its fullest address are taken"));
        }

        return reasons.Count == 0 ? new EndpointHealth(HealthStatus.Healthy, null) : new EndpointHealth(HealthStatus.Degraded, string.Join("; ", reasons));
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
