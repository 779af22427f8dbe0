namespace PooledTcp.AspNetCore;

/// <summary>How connections of a Kestrel endpoint close. Section <c>PooledTcp:Server</c> by custom; read once, at start.</summary>
/// <remarks>Times in configuration are written <c>hh:mm:ss</c>; where it is allowed, <c>Infinite</c> stands for
/// <see cref="Timeout.InfiniteTimeSpan"/>.</remarks>
public sealed class ClosePolicyOptions
{
    /// <summary>Who closes first when the handler has returned, the connection is idle, or the host stops.</summary>
    /// <value>Default: <see cref="ClosingSide.Server"/>.</value>
    public ClosingSide ClosesFirst { get; set; } = ClosingSide.Server;

    /// <summary>
    /// How long a handler waits for a client that neither sends nor is sent anything, before its read ends as if the
    /// client had closed. Time in which the handler itself works does not count.
    /// </summary>
    /// <value>
    /// 1 s to 24 days, or <see cref="Timeout.InfiniteTimeSpan"/>. Default: 75 s, less than the 90 s of a
    /// PooledTcp client, so that the server is the one who closes.
    /// </value>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromSeconds(75);

    /// <summary>How long what the handler wrote may take to leave for the kernel once the handler has returned.</summary>
    /// <value>
    /// 10 ms to 1 day. Default: 30 s. Then the connection is reset: a stream cut short must not look complete.
    /// </value>
    public TimeSpan FlushTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the server, having closed first, waits for the client to close too.</summary>
    /// <value>10 ms to 1 day. Default: 2 s.</value>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How much of what a client still sends is read and thrown away while its FIN is awaited. More, and the connection
    /// is reset, which costs the client what it has not read of the reply.
    /// </summary>
    /// <value>
    /// Bytes, 0 to 1 GiB, not counting what had arrived already. Default: 4 MiB, which is what a client's kernel holds back
    /// at most unless told otherwise (Linux, <c>tcp_wmem</c>): what a client sent before our FIN is no reason for a reset.
    /// </value>
    public int DrainLimit { get; set; } = 4 * 1024 * 1024;

    /// <summary>With <see cref="ClosingSide.Client"/>: how long the server waits for the client to close first.</summary>
    /// <value>
    /// 10 ms to 1 day. Default: 5 s. Then a quiet close, or without one (<see cref="AllowQuietClose"/>) the server closes first.
    /// </value>
    public TimeSpan ClientCloseTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Whether a client that does not close in time is closed quietly (Linux, <c>TCP_LINGER2 = -1</c>): it sees every byte
    /// and a clean end, and neither side keeps the connection in FIN_WAIT2 or TIME_WAIT. No effect on other systems.
    /// </summary>
    /// <value>Default: true. False leaves such a connection to the kernel, on Linux for <c>tcp_fin_timeout</c>, 60 s.</value>
    public bool AllowQuietClose { get; set; } = true;

    /// <summary>Where the section stands, for messages.</summary>
    internal string ConfigurationPath { get; set; } = "PooledTcp:Server";

    /// <summary>What could not be bound.</summary>
    internal List<string> BindingFaults { get; } = [];
}
