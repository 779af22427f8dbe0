namespace PooledTcp;

/// <summary>
/// No connection became available within <c>RentTimeout</c> (or the timeout given to <c>RentAsync</c>): waiting for one to
/// be returned, dialing and the handshake share that one budget.
/// </summary>
public sealed class RentTimeoutException : PooledTcpException
{
    internal RentTimeoutException(string message, string poolName, TimeSpan timeout, Exception? innerException)
        : base(message, poolName, innerException)
    {
        Timeout = timeout;
    }

    /// <summary>The budget that ran out.</summary>
    public TimeSpan Timeout { get; }
}
