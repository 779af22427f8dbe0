namespace PooledTcp;

/// <summary>
/// Cleans what a caller left behind on the server (a selected database, a transaction). Registered with
/// <c>WithReset&lt;T&gt;()</c>; one instance serves all connections of its endpoint, several at a time.
/// </summary>
public interface ITcpReset
{
    /// <summary>Runs before a returned connection goes idle or to the next caller.</summary>
    /// <param name="connection">The connection. It is only lent for the call: completing or discarding it is left to the pool.</param>
    /// <param name="cancellationToken">Fires when the reset takes too long or the pool closes.</param>
    /// <remarks>If it throws, the connection closes; no caller sees the exception.</remarks>
    ValueTask ResetAsync(TcpLease connection, CancellationToken cancellationToken);
}
