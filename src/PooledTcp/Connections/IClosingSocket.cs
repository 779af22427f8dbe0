namespace PooledTcp.Connections;

/// <summary>
/// A connection that nobody uses any more, reduced to the moves a close is made of. Which of them, and in which order, is
/// the closing decision's. None of them throws or blocks; the unit tests fake it.
/// </summary>
internal interface IClosingSocket
{
    /// <summary>No ports, no TIME-WAIT, no TCP.</summary>
    bool IsUnix { get; }

    /// <summary>The platform has TCP_LINGER2 = -1.</summary>
    bool QuietSupported { get; }

    /// <summary>What the kernel knows right now.</summary>
    /// <param name="vanishedAfter">With no ACK for longer than this the peer counts as gone.</param>
    SocketFacts ReadFacts(TimeSpan vanishedAfter);

    /// <summary>A short message would leave at once.</summary>
    bool IsWritable { get; }

    /// <summary>
    /// Before a close whose TIME-WAIT is to be accounted: whether the kernel can be asked for this very connection. It
    /// cannot for one that is bound to a device, say.
    /// </summary>
    void Locate();

    /// <summary>Reads and drops what the kernel has: closing over unread bytes would turn the FIN into an RST (tcp-facts row 5).</summary>
    void DrainNow();

    /// <summary>
    /// Reads and drops until the peer's FIN: true when it came, false when the token fired, the peer sent more than
    /// 64 KB, or the connection broke. The pending receive has ended by then, so a close still sends FIN.
    /// </summary>
    ValueTask<bool> DrainToEndAsync(CancellationToken cancellationToken);

    /// <summary>Half of a close: our FIN.</summary>
    void ShutdownSend();

    /// <summary>From now on a peer that vanished holds the port this long, not the kernel's 107 s (tcp-facts row 12).</summary>
    void LimitUnacknowledged(TimeSpan timeout);

    /// <summary>The next close leaves no TIME-WAIT, unless the peer's FIN was read before it (tcp-facts rows 9, 10).</summary>
    void ForgetAfterFin();

    /// <summary>
    /// Asked after <see cref="Locate"/> and <see cref="Close"/>: whether the kernel holds a TIME-WAIT for it. True where
    /// nobody can tell: the account may be too high for a minute, never too low.
    /// </summary>
    bool LeftTimeWait { get; }

    /// <summary>RST, and gone.</summary>
    void Abort();

    /// <summary>Closes the descriptor. What that puts on the wire was settled by the moves before it.</summary>
    void Close();
}
