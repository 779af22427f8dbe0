namespace PooledTcp.AspNetCore;

/// <summary>
/// A handler's hold on how its connection closes: <c>connection.Features.Get&lt;IClosePolicyFeature&gt;()</c>.
/// Thread-safe.
/// </summary>
public interface IClosePolicyFeature
{
    /// <summary>
    /// Who will close first. <see cref="ClosePolicyOptions.ClosesFirst"/>, or <see cref="ClosingSide.Server"/> after
    /// <see cref="CloseFirst"/>.
    /// </summary>
    ClosingSide ClosesFirst { get; }

    /// <summary>
    /// The server closes this connection, and closes first, whatever <see cref="ClosePolicyOptions.ClosesFirst"/> says.
    /// Call it when the protocol says goodbye, best just before the last reply is written, then return from the handler.
    /// </summary>
    /// <remarks>
    /// From now on reads end: the next one returns what has arrived already, completed. Writes go on. The FIN is sent
    /// when the handler has returned and its last byte has left. On Linux the last bytes written after this call wait for
    /// it (at most 200 ms) and leave with it in one segment, so that a client who closes on reading them is still second.
    /// </remarks>
    void CloseFirst();
}
