using System.Globalization;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using PooledTcp.Telemetry;

namespace PooledTcp.Hosting;

/// <summary>
/// The health of the configured endpoints, read from what their pools know anyway. It dials nothing, waits for nothing and
/// throws nothing: a check that opens connections adds to the outage it reports.
/// </summary>
/// <remarks>Ad hoc pools are no part of it: nobody has named them a dependency, they come and go, and their number has no bound.</remarks>
internal sealed class PooledTcpHealthCheck(PooledTcpClient client, TimeProvider time, IReadOnlyList<string> endpoints) : IHealthCheck
{
    /// <summary>
    /// For so long a rent that timed out counts. Not just until the next look: several may be looking, and the one would take
    /// the news from the other.
    /// </summary>
    public static readonly TimeSpan TimeoutsCountFor = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (long Count, long? RoseAt)> _timeouts = new(StringComparer.OrdinalIgnoreCase);

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        Dictionary<string, object> data = new(StringComparer.OrdinalIgnoreCase);
        List<string> reasons = [];
        HealthStatus status = HealthStatus.Healthy;
        if (client.IsStopping)
        {
            status = HealthStatus.Unhealthy;
            reasons.Add("The host is stopping.");
        }

        TcpPoolSnapshot[] snapshots =
            [.. client.Pools.Where(IsAsked).Select(static pool => pool.GetSnapshot()).OrderBy(static now => now.Name, StringComparer.OrdinalIgnoreCase)];
        foreach (TcpPoolSnapshot now in snapshots)
        {
            EndpointHealth health = EndpointHealth.Of(now, HasTimedOutLately(now));
            data[now.Name] = Describe(now, health);
            if (health.Reason is not null)
            {
                status = health.Status < status ? health.Status : status;
                reasons.Add($"{now.Name}: {health.Reason}{LastError(now)}.");
            }
        }

        // A reload may add an endpoint, so a name that is not there now is no reason to fail the start.
        foreach (string missing in endpoints.Except(data.Keys, StringComparer.OrdinalIgnoreCase))
        {
            status = HealthStatus.Unhealthy;
            reasons.Add($"No endpoint '{missing}' is configured.");
        }

        string description = reasons.Count > 0
            ? string.Join(' ', reasons)
            : string.Create(CultureInfo.InvariantCulture, $"{snapshots.Length} endpoints, nothing to report.");
        return Task.FromResult(new HealthCheckResult(
            status == HealthStatus.Unhealthy ? context.Registration.FailureStatus : status, description, exception: null, data));
    }

    private bool IsAsked(TcpPool pool) =>
        !pool.Core.IsAdHoc && (endpoints.Count == 0 || endpoints.Contains(pool.Name, StringComparer.OrdinalIgnoreCase));

    /// <summary>The first look only learns the count: who knows how old its timeouts are.</summary>
    private bool HasTimedOutLately(TcpPoolSnapshot now)
    {
        long at = time.GetTimestamp();
        lock (_lock)
        {
            bool isKnown = _timeouts.TryGetValue(now.Name, out (long Count, long? RoseAt) seen);
            if (isKnown && now.RentTimeouts > seen.Count)
            {
                seen.RoseAt = at;
            }

            // Two looks may overtake each other with their snapshots: the count never goes back.
            seen.Count = Math.Max(seen.Count, now.RentTimeouts);
            _timeouts[now.Name] = seen;
            return seen.RoseAt is { } rose && time.GetElapsedTime(rose, at) < TimeoutsCountFor;
        }
    }

    private static Dictionary<string, object> Describe(TcpPoolSnapshot now, EndpointHealth health)
    {
        Dictionary<string, object> data = new(StringComparer.Ordinal)
        {
            ["status"] = health.Status.ToString(),
            ["address"] = now.Address,
            ["state"] = now.State.ToString(),
            ["breaker"] = now.BreakerState.ToString(),
            ["addresses"] = now.Addresses.Count,
            ["addresses_failing"] = now.Addresses.Count(static address => address.BreakerState != BreakerState.Closed),
            ["idle"] = now.Idle,
            ["used"] = now.Used,
            ["connecting"] = now.Connecting,
            ["closing"] = now.Closing,
            ["max_connections"] = now.MaxConnections,
            ["waiting"] = now.Waiting,
            ["max_waiters"] = now.MaxWaiters,
            ["rent_timeouts"] = now.RentTimeouts,
            ["ports_used"] = now.PortsUsed,
            ["port_budget"] = now.PortBudget,
            ["port_pressure"] = Math.Round(now.PortPressure, 3),
        };
        if (now.LastConnectError is { } error)
        {
            // Its kind, not its message: health endpoints are often open to everybody, and the message may be a handshake
            // hook's, with the password in it that was refused.
            data["last_error"] = ErrorTypes.Of(error);
            data["last_error_age_seconds"] = Math.Round(now.LastConnectErrorAge!.Value.TotalSeconds, 3);
        }

        return data;
    }

    private static string LastError(TcpPoolSnapshot now) =>
        now.LastConnectError is { } error
            ? string.Create(CultureInfo.InvariantCulture, $" (last dial error {now.LastConnectErrorAge!.Value.TotalSeconds:0} s ago: {ErrorTypes.Of(error)})")
            : "";
}
