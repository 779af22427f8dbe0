namespace PooledTcp;

/// <summary>
/// Knows the farewell of a protocol whose farewell is not always the same bytes: it carries a session id, a counter, a
/// signature. Registered with <c>WithGoodbye&lt;T&gt;()</c>; one instance serves all connections of its endpoint, several at
/// a time. For fixed bytes <see cref="TcpShutdownOptions.Goodbye"/> is enough.
/// </summary>
public interface IGoodbye
{
    /// <summary>
    /// Asked when a connection is about to be closed between two exchanges. It must neither block nor use the connection;
    /// the pool sends the bytes and waits for the server to close.
    /// </summary>
    /// <param name="session">What the handshake of this connection returned; null without a handshake.</param>
    /// <returns>The farewell; empty for none, which closes this connection as if it had no farewell.</returns>
    /// <remarks>If it throws, the connection closes without a farewell; no caller sees the exception.</remarks>
    ReadOnlyMemory<byte> GetFarewell(object? session);
}
