namespace PooledTcp.Shutdown;

/// <summary>How a connection is closed. The names in lower case are the values of <c>pooled_tcp.connection.close.method</c>.</summary>
internal enum CloseMethod
{
    /// <summary>No step: the end of a chain.</summary>
    None,

    /// <summary>The peer closed first: close. TIME-WAIT, if any, is the peer's (tcp-facts row 2).</summary>
    Passive,

    /// <summary>Send the protocol's farewell, read to the peer's FIN, then close as <see cref="Passive"/>.</summary>
    Goodbye,

    /// <summary>Out of rotation, wait for the peer's own FIN, then close as <see cref="Passive"/>.</summary>
    AwaitPeer,

    /// <summary>FIN, read to the peer's FIN, close. TIME-WAIT is ours (tcp-facts row 1).</summary>
    Graceful,

    /// <summary>FIN with TCP_LINGER2 = -1: every byte arrives, and nobody has a TIME-WAIT (tcp-facts row 9). Linux.</summary>
    Quiet,

    /// <summary>RST. Nobody has a TIME-WAIT, and what was not acknowledged is lost (tcp-facts rows 4, 5).</summary>
    Abort,

    /// <summary>Close the descriptor: nothing is left to decide (reset already, never connected, a unix socket).</summary>
    Dispose,
}
