namespace PooledTcp;

/// <summary>The client is draining or disposed and lends nothing any more.</summary>
public sealed class PoolClosedException : PooledTcpException
{
    internal PoolClosedException(string message, string poolName)
        : base(message, poolName, innerException: null)
    {
    }
}
