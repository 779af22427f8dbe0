namespace PooledTcp.Shutdown;

/// <summary>Why a connection was closed. The names, in snake_case, are the values of <c>pooled_tcp.connection.close.reason</c>.</summary>
internal enum CloseReason
{
    /// <summary>Idle for <c>IdleTimeout</c>.</summary>
    IdleTimeout,

    /// <summary>
    /// Idle for almost as long as the peer lets connections idle, by what was learned of it: the peer is left to close it.
    /// </summary>
    PeerIdleLimit,

    /// <summary>Reached <c>Lifetime</c> (less its jitter).</summary>
    MaxLifetime,

    /// <summary>Reached <c>MaxUses</c>.</summary>
    MaxUses,

    /// <summary>The check at rent found unread bytes or a broken connection, or the reset hook or a probe failed.</summary>
    HealthCheckFailed,

    /// <summary>The peer closed first.</summary>
    PeerClosed,

    /// <summary>The peer does not answer: the kernel retransmits, misses its ACKs, or has given it up.</summary>
    Vanished,

    /// <summary>An operation on the lease failed or was cancelled half-way.</summary>
    Faulted,

    /// <summary>Returned as complete, but with unread bytes, an unanswered send or an operation in flight.</summary>
    ReturnedDirty,

    /// <summary>Returned without <c>Complete()</c>, or by <c>Discard()</c>.</summary>
    Abandoned,

    /// <summary>Never returned: the garbage collector found that nobody held the lease any more.</summary>
    Leaked,

    /// <summary>The endpoint's name no longer resolves to its address.</summary>
    AddressRemoved,

    /// <summary>More than needed: the last two <c>RetentionPeriod</c>s did without it, or the limit was lowered.</summary>
    OverCapacity,

    /// <summary>Socket, TLS or address settings changed on reload.</summary>
    OptionsChanged,

    /// <summary><c>TcpPool.Clear</c>.</summary>
    Cleared,

    /// <summary>Another endpoint needed its place under <c>MaxTotalConnections</c>, or that limit was lowered.</summary>
    SharedCap,

    /// <summary>The client is draining or disposed.</summary>
    PoolShutdown,
}
