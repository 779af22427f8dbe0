namespace PooledTcp;

/// <summary>
/// How connections of an endpoint are closed: who closes first, and so keeps the TIME-WAIT, and by which method. Changes
/// apply at once, to live connections too. A unix socket has no TIME-WAIT and is just closed.
/// </summary>
public sealed class TcpShutdownOptions
{
    /// <summary>Which side is to close first.</summary>
    /// <value>Default: <see cref="PooledTcp.ClosesFirst.Auto"/>.</value>
    public ClosesFirst ClosesFirst { get; set; }

    /// <summary>
    /// The protocol's farewell, to which the server answers by closing. It is sent only between two exchanges, and what the
    /// server answers is read and thrown away. With TLS and without a farewell, close_notify is it.
    /// </summary>
    /// <value>
    /// <c>ftp</c>, <c>imap</c>, <c>memcached</c>, <c>mysql</c>, <c>pop3</c>, <c>postgresql</c>, <c>redis</c>, <c>smtp</c>,
    /// <c>stomp</c>; or <c>raw:</c> and 1 to 1,024 bytes as ASCII text with the escapes <c>\r \n \t \0 \\ \xHH</c>, whose
    /// backslashes are doubled in JSON: <c>"raw:QUIT\\r\\n"</c>. Null for none. Default: null.
    /// </value>
    public string? Goodbye { get; set; }

    /// <summary>
    /// The farewell from code, asked for each connection; it goes before <see cref="Goodbye"/>. Not bound from configuration,
    /// and settled when the endpoint's pool is made; with dependency injection <c>WithGoodbye(...)</c> overrides it.
    /// </summary>
    /// <value>Default: null.</value>
    public IGoodbye? GoodbyeProvider { get; set; }

    /// <summary>How long a server may take to close after the farewell; then the next method is tried.</summary>
    /// <value>1 ms to 1 h. Default: 1 s.</value>
    public TimeSpan GoodbyeTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// With <see cref="PooledTcp.ClosesFirst.Server"/> and no farewell: how long a connection that is not lent any more waits
    /// for the server's own close.
    /// </summary>
    /// <value>1 ms to 1 day. Default: 75 s, nginx's keepalive_timeout.</value>
    public TimeSpan ServerCloseTimeout { get; set; } = TimeSpan.FromSeconds(75);

    /// <summary>
    /// How long a close may wait for the peer: for its FIN after ours, and (TCP_USER_TIMEOUT, Linux) for the acknowledgement
    /// of what was sent, so that a vanished peer does not hold the port for minutes.
    /// </summary>
    /// <value>1 ms to 1 h. Default: 2 s.</value>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Allows a close that leaves nobody in TIME-WAIT (TCP_LINGER2 = -1, Linux). The peer reads every byte and a clean end;
    /// given up is the guard against late segments of this connection, which timestamps and initial sequence numbers keep up.
    /// </summary>
    /// <value>Default: true.</value>
    public bool AllowQuietClose { get; set; } = true;

    /// <summary>
    /// Allows RST for clean connections where a quiet close is off or missing and nothing is unsent or unread. The peer's
    /// program sees a connection reset. Connections that are out of step or whose peer vanished are always aborted.
    /// </summary>
    /// <value>Default: false.</value>
    public bool AllowAbort { get; set; }

    internal TcpShutdownOptions Clone() => new()
    {
        ClosesFirst = ClosesFirst,
        Goodbye = Goodbye,
        GoodbyeProvider = GoodbyeProvider,
        GoodbyeTimeout = GoodbyeTimeout,
        ServerCloseTimeout = ServerCloseTimeout,
        DrainTimeout = DrainTimeout,
        AllowQuietClose = AllowQuietClose,
        AllowAbort = AllowAbort,
    };
}
