using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using PooledTcp;
using PooledTcp.AspNetCore.Stats;

namespace Microsoft.AspNetCore.Builder;

/// <summary>A page that shows every pool of the process, and its figures as JSON.</summary>
public static class StatsEndpointRouteBuilderExtensions
{
    // Where the JSON stands, relative to the page.
    private const string JsonName = "stats.json";

    private static readonly string[] Methods = ["GET", "HEAD"];

    /// <summary>
    /// Maps the stats page of the registered <see cref="PooledTcpClient"/>, and <c>stats.json</c> beneath it. Nothing is served
    /// and nothing collected without this call.
    /// </summary>
    /// <param name="endpoints">Usually the application, or a group of its routes.</param>
    /// <param name="pattern">Where the page stands. The JSON is at <c>{pattern}/stats.json</c>.</param>
    /// <returns>Both endpoints, for conventions: <c>RequireAuthorization()</c>, <c>RequireHost("*:9090")</c> and so on.</returns>
    /// <remarks>
    /// The page tells names, addresses and types of errors of the pools to everybody who may read it: require authorization, or
    /// a host or port that only operators reach. It needs no other asset, brings its own Content-Security-Policy, and works
    /// without JavaScript. The figures are read at most once a second, however many look at them.
    /// </remarks>
    /// <exception cref="InvalidOperationException"><c>AddPooledTcp</c> was not called.</exception>
    public static IEndpointConventionBuilder MapPooledTcpStats(this IEndpointRouteBuilder endpoints, [StringSyntax("Route")] string pattern = "/pooledtcp")
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(pattern);
        IServiceProvider services = endpoints.ServiceProvider;

        // Asked, not resolved: invalid settings are reported by the start of the host, as without a page.
        if (services.GetService<IServiceProviderIsService>()?.IsService(typeof(PooledTcpClient)) == false)
        {
            throw new InvalidOperationException(
                $"{nameof(MapPooledTcpStats)}(\"{pattern}\") found no {nameof(PooledTcpClient)}. Call builder.Services.AddPooledTcp(...) before the application is built.");
        }

        var endpoint = new StatsEndpoint(
            new StatsCollector(() => Walk(services.GetRequiredService<PooledTcpClient>()), services.GetService<TimeProvider>() ?? TimeProvider.System),
            services.GetService<IHostEnvironment>()?.ApplicationName);
        RouteGroupBuilder group = endpoints.MapGroup(pattern);
        group.MapMethods("", Methods, endpoint.PageAsync).WithDisplayName("PooledTcp stats page");
        group.MapMethods(JsonName, Methods, endpoint.JsonAsync).WithDisplayName("PooledTcp stats JSON");
        return group;
    }

    private static (TcpPoolSnapshot[] Pools, int? MaxTotalConnections) Walk(PooledTcpClient client) =>
        ([.. client.Pools.Select(static pool => pool.GetSnapshot())], client.MaxTotalConnections);
}
