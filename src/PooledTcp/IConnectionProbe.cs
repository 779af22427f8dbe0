namespace PooledTcp;

/// <summary>
/// Asks an idle connection whether the server still answers. Registered with <c>WithProbe&lt;T&gt;()</c>; one instance
/// serves all connections of its endpoint. For a fixed question and answer <see cref="TcpHealthOptions.Probe"/> is enough.
/// </summary>
public interface IConnectionProbe
{
    /// <summary>Runs on a connection that idles, one at a time per pool, while nobody else has it.</summary>
    /// <param name="connection">The connection. It is only lent for the call: completing or discarding it is left to the pool.</param>
    /// <param name="cancellationToken">Fires when the probe takes longer than <see cref="TcpHealthOptions.ProbeTimeout"/> or the pool closes.</param>
    /// <remarks>If it throws, or leaves bytes unread, the connection closes; no caller sees the exception.</remarks>
    ValueTask ProbeAsync(TcpLease connection, CancellationToken cancellationToken);
}
