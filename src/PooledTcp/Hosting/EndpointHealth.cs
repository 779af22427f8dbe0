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
            // Never unhealthy: with no traffic there is no rent, with no rent no dial, and it would stay so for ever.
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

        if (now.PortBudget > 0 && now.PortsUsed >= FullPorts * now.PortBudget)
        {
            reasons.Add(Text($"{now.PortsUsed} of its {now.PortBudget} local ports are taken"));
        }

        return reasons.Count == 0 ? new EndpointHealth(HealthStatus.Healthy, null) : new EndpointHealth(HealthStatus.Degraded, string.Join("; ", reasons));
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
