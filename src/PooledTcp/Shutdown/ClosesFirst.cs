namespace PooledTcp;

/// <summary>Which side is to close a connection first, and so to keep its TIME-WAIT.</summary>
public enum ClosesFirst
{
    /// <summary>
    /// Whatever costs the least: the server where the protocol has a farewell; else this client, as long as its
    /// TIME-WAITs stay within <c>Ports.TimeWaitShare</c>; else nobody (a quiet close).
    /// </summary>
    Auto,

    /// <summary>
    /// The server: by the protocol's farewell, else the connection leaves rotation and waits for the server's own close for
    /// <c>ServerCloseTimeout</c>; then a quiet close.
    /// </summary>
    Server,

    /// <summary>This client, always: a close waits for its share of ports rather than leave the server with the TIME-WAIT.</summary>
    Client,
}
