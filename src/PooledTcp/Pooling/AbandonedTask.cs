namespace PooledTcp.Pooling;

/// <summary>For a task that its waiter may leave before it ends.</summary>
internal static class AbandonedTask
{
    /// <summary>Looks at the exception, if there will be one: nobody else would, and it would be reported as unobserved.</summary>
    public static void ObserveFault(this Task task) => _ = task.ContinueWith(
        static ended => ended.Exception,
        CancellationToken.None,
        TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
        TaskScheduler.Default);
}
