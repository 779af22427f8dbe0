using System.Diagnostics;

namespace PooledTcp.Connections;

/// <summary>The one place that takes a result without await, so that nobody else needs to silence the analyzers that guard against blocking.</summary>
internal static class CompletedValueTask
{
    /// <summary>Consumes a task that was seen complete; throws what it failed with.</summary>
    public static int Take(ValueTask<int> completed)
    {
        Debug.Assert(completed.IsCompleted, "Taking the result of a running operation would block, or break its source.");
#pragma warning disable VSTHRD002 // Complete: nothing to wait for
        return completed.GetAwaiter().GetResult();
#pragma warning restore VSTHRD002
    }
}
