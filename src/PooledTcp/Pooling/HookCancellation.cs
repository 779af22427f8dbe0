namespace PooledTcp.Pooling;

/// <summary>
/// Cancels a token that hooks and connect callbacks were given. That runs their callbacks, which may block or throw: not on
/// the stack of whoever clears or disposes, nor on a timer's, where the exception would end the process.
/// </summary>
internal static class HookCancellation
{
    public static void Queue(CancellationTokenSource source) => ThreadPool.UnsafeQueueUserWorkItem(
        static source =>
        {
            try
            {
                source.Cancel();
            }
            catch (Exception e) when (e is ObjectDisposedException or AggregateException)
            {
                // It ended while we were coming, or a callback threw: it is given up all the same.
            }
        },
        source,
        preferLocal: false);
}
