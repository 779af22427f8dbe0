using System.Collections.Concurrent;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>How long a test may take in all. Far more than any needs: it is there so that a defect fails, and hangs nobody.</summary>
internal static class Patience
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);
    private static readonly ConcurrentDictionary<string, CancellationTokenSource> Limits = new(StringComparer.Ordinal);

    /// <summary>For every wait. A handler, which runs outside of its test, is ended by its client or by the end of its server.</summary>
    public static CancellationToken Token =>
        TestContext.Current.Test is { } test ? Limits.GetOrAdd(test.UniqueID, Start).Token : TestContext.Current.CancellationToken;

    private static CancellationTokenSource Start(string test)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        return limit;
    }
}
