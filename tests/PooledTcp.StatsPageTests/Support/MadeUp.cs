using Microsoft.AspNetCore.Builder;
using PooledTcp.AspNetCore.Stats;

namespace PooledTcp.StatsPageTests.Support;

/// <summary>A site whose page shows snapshots that the test makes up.</summary>
internal static class MadeUp
{
    public static Task<Site> StartAsync(Func<TcpPoolSnapshot[]> pools)
    {
        var endpoint = new StatsEndpoint(new StatsCollector(() => (pools(), null), TimeProvider.System), null);
        return Site.StartAsync(map: app =>
        {
            app.MapMethods("/pooledtcp", ["GET"], endpoint.PageAsync);
            app.MapMethods("/pooledtcp/stats.json", ["GET"], endpoint.JsonAsync);
        });
    }
}
