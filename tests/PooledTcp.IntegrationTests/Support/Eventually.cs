using System.Diagnostics;
using Xunit;

namespace PooledTcp.IntegrationTests.Support;

/// <summary>Waits for what the kernel or another thread does in its own time and tells nobody.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    /// <summary>Fails with what was last seen when that does not become true.</summary>
    public static async Task TrueAsync(Func<bool> condition, Func<string> lastSeen)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < Limit, lastSeen());
            await Task.Delay(2, TestContext.Current.CancellationToken);
        }
    }
}
