namespace PooledTcp.Shutdown;

/// <summary>Why a connection was closed. The names, in snake_case, are the values of <c>pooled_tcp.connection.close.reason</c>.</summary>
internal enum CloseReason
{
    /// <summary>Idle for <c>IdleTimeout</c>.</summary>
    IdleTimeout,

    /// <summary>Reached <c>Lifetime</c> (less its jitter).</summary>
    MaxLifetime,

    /// <summary>Reached <c>MaxUses</c>.</summary>
    MaxUses,

    /// <summary>The check at rent found unread bytes or a broken connection, or the reset hook failed.</summary>
    HealthCheckFailed,

    /// <summary>The peer closed first.</summary>
    PeerClosed,

    /// <summary>An operation on the lease failed or was cancelled half-way.</summary>
    Faulted,

    /// <summary>Returned as complete, but with unread bytes, an unanswered send or an operation in flight.</summary>
    ReturnedDirty,

    /// <summary>Returned without <c>Complete()</c>, or by <c>Discard()</c>.</summary>
    Abandoned,

    /// <summary>The endpoint's name no longer resolves to its address.</summary>
    AddressRemoved,

    /// <summary>The limit was lowered below the number of connections.</summary>
    OverCapacity,

    /// <summary>Socket, TLS or address settings changed on reload.</summary>
    OptionsChanged,

    /// <summary><c>TcpPool.Clear</c>.</summary>
    Cleared,

    /// <summary>The client is draining or disposed.</summary>
    PoolShutdown,
}
