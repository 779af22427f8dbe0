namespace PooledTcp;

/// <summary>Every connection was in use and <c>MaxWaiters</c> callers were already waiting, so this one was refused at once.</summary>
public sealed class PoolQueueFullException : PooledTcpException
{
    internal PoolQueueFullException(string message, string poolName)
        : base(message, poolName, innerException: null)
    {
    }
}
