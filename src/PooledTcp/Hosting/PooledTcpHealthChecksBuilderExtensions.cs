using Microsoft.Extensions.Diagnostics.HealthChecks;
using PooledTcp;
using PooledTcp.Hosting;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>The health of the endpoints of <see cref="PooledTcpClient"/> among a service's health checks.</summary>
public static class PooledTcpHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds a check of the configured endpoints. It reads what the pools know: it dials nothing, waits for nothing and throws
    /// nothing, so it may be asked often.
    /// </summary>
    /// <param name="builder">What <c>services.AddHealthChecks()</c> returned.</param>
    /// <param name="name">The name of the check. Default: <c>pooled_tcp</c>.</param>
    /// <param name="failureStatus">
    /// What is reported where the check finds an endpoint unhealthy. Default: <see cref="HealthStatus.Unhealthy"/>; say
    /// <see cref="HealthStatus.Degraded"/> for a dependency that the service can do without.
    /// </param>
    /// <param name="tags">Tags to filter by, say <c>ready</c>. Default: none.</param>
    /// <param name="timeout">As for any check; this one never waits. Default: none.</param>
    /// <param name="endpoints">
    /// The endpoints to look at, by name; case does not matter. Default: every configured one. One that is not configured is
    /// reported as unhealthy.
    /// </param>
    /// <returns>The same builder.</returns>
    /// <remarks>
    /// <para>
    /// Unhealthy: no rent can be served (the breaker of every address is open and no connection is left; after its pause, until a
    /// dial succeeds or 30 s have passed without one), or the client shuts down, from the moment its host begins to stop. Degraded: it is served, but late or not for all (some addresses
    /// cannot be reached, or all of them while connections are left; 80 % of <c>MaxWaiters</c> wait; a rent timed out within
    /// the last 30 s, as seen from one check to the next; 90 % of the local ports towards one address are taken; the pool is paused). Everything
    /// else is healthy, an endpoint that was never dialed included.
    /// </para>
    /// <para>
    /// The result's data has an entry for each endpoint: a dictionary with its state, counts, limits, breaker, and the kind
    /// and age of its last dial error. No address book of ad hoc endpoints, no message of an exception, no secret.
    /// </para>
    /// </remarks>
    public static IHealthChecksBuilder AddPooledTcp(
        this IHealthChecksBuilder builder,
        string name = "pooled_tcp",
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null,
        TimeSpan? timeout = null,
        IEnumerable<string>? endpoints = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        string[] asked = [.. endpoints ?? []];

        // The check remembers what it saw, and the factory is called for each look: one check per registration and container.
        var key = new object();
        builder.Services.AddKeyedSingleton(key, (services, _) => new PooledTcpHealthCheck(
            services.GetRequiredService<PooledTcpClient>(), services.GetService<TimeProvider>() ?? TimeProvider.System, asked));
        return builder.Add(new HealthCheckRegistration(
            name, services => services.GetRequiredKeyedService<PooledTcpHealthCheck>(key), failureStatus, tags, timeout));
    }
}
