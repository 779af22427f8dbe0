namespace PooledTcp;

/// <summary>
/// Makes a new connection ready for its protocol: AUTH, SELECT, a login. Registered with <c>WithHandshake&lt;T&gt;()</c>;
/// one instance serves all connections of its endpoint, several at a time.
/// </summary>
public interface ITcpHandshake
{
    /// <summary>Runs once on each new connection, after TLS and within <see cref="TcpEndpointOptions.ConnectTimeout"/>.</summary>
    /// <param name="connection">The connection. It is only lent for the call: completing or discarding it is left to the pool.</param>
    /// <param name="cancellationToken">Fires when the connect budget is used up or the pool closes.</param>
    /// <returns>What every lease of this connection offers as its <c>Session</c>; may be null.</returns>
    /// <remarks>If it throws, the dial has failed: the connection is closed and the rent gets the exception as the cause.</remarks>
    ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken);
}
