using System.Collections.Concurrent;
using Xunit;

namespace PooledTcp.StatsPageTests.Support;

/// <summary>How long a test may take in all. Far more than any needs: it is there so that a defect fails, and hangs nobody.</summary>
internal static class Patience
{
    /// <summary>For what a browser is waited for.</summary>
    public const float BrowserMilliseconds = 90_000;

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);
    private static readonly ConcurrentDictionary<string, CancellationTokenSource> Limits = new(StringComparer.Ordinal);

    public static CancellationToken Token =>
        TestContext.Current.Test is { } test ? Limits.GetOrAdd(test.UniqueID, Start).Token : TestContext.Current.CancellationToken;

    /// <summary>Looks again and again until it holds.</summary>
    public static async Task UntilAsync(Func<bool> holds)
    {
        while (!holds())
        {
            await Task.Delay(20, Token);
        }
    }

    private static CancellationTokenSource Start(string test)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        return limit;
    }
}
