namespace PooledTcp;

/// <summary>
/// No local port was free for the destination within the rent's deadline. The message carries the census: which ports, who
/// holds them, in which state. <c>Shutdown.ClosesFirst</c>, <c>Ports.Range</c> and <c>Ports.SourceAddresses</c> are the
/// settings to turn; docs/closing.md explains them.
/// </summary>
public sealed class LocalPortsExhaustedException : PooledTcpException
{
    internal LocalPortsExhaustedException(string message, string poolName, Exception? innerException)
        : base(message, poolName, innerException)
    {
    }
}
