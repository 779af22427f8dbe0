using System.Collections.Concurrent;
using Xunit;

namespace PooledTcp.CacheServiceTests.Support;

/// <summary>How long a test may take in all. Far more than any needs: it is there so that a defect fails, and hangs nobody.</summary>
internal static class Patience
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(6);
    private static readonly ConcurrentDictionary<string, CancellationTokenSource> Limits = new(StringComparer.Ordinal);

    /// <summary>For every wait.</summary>
    public static CancellationToken Token =>
        TestContext.Current.Test is { } test ? Limits.GetOrAdd(test.UniqueID, Start).Token : TestContext.Current.CancellationToken;

    /// <summary>Asks until <paramref name="condition"/> holds.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        while (!await condition())
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
