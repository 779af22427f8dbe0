namespace PooledTcp;

/// <summary>
/// The base of every error this library raises about a pool or a connection. It is an <see cref="IOException"/>, so
/// code that already treats network trouble as one needs no new catch. The message names the pool; where a rent got no
/// connection it carries the pool's numbers, and where a setting would help (timeout, full queue, no local port) it names
/// that too.
/// </summary>
public abstract class PooledTcpException : IOException
{
    private protected PooledTcpException(string message, string poolName, Exception? innerException)
        : base(message, innerException)
    {
        PoolName = poolName;
    }

    /// <summary>The endpoint's configured name, or the address of an ad hoc pool.</summary>
    public string PoolName { get; }
}
