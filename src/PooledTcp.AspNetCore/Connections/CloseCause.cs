namespace PooledTcp.AspNetCore.Connections;

/// <summary>Why a connection closes. The first cause stays.</summary>
internal enum CloseCause
{
    None,

    /// <summary>The handler returned.</summary>
    HandlerReturned,

    /// <summary>The handler threw, or completed its output with an exception.</summary>
    HandlerFailed,

    /// <summary>The handler called <see cref="IClosePolicyFeature.CloseFirst"/>.</summary>
    Requested,

    /// <summary>Nothing came or went for <see cref="ClosePolicyOptions.IdleTimeout"/>.</summary>
    Idle,

    /// <summary>The host stops, or the endpoint is taken out of the configuration.</summary>
    Stopping,
}

/// <summary>How it closed.</summary>
internal enum CloseMethod
{
    /// <summary>The client's FIN came first: TIME_WAIT is the client's.</summary>
    Passive,

    /// <summary>Our FIN, then the client's: TIME_WAIT is ours.</summary>
    Graceful,

    /// <summary>The client did not close in time: nobody's TIME_WAIT.</summary>
    Quiet,

    /// <summary>The client did not close in time and the quiet close is off or missing: FIN_WAIT2 is left to the kernel.</summary>
    Orphaned,

    /// <summary>Reset on purpose: what the handler wrote could not all be sent, or the handler asked for it.</summary>
    Abort,

    /// <summary>Reset on purpose: the client sent more than <see cref="ClosePolicyOptions.DrainLimit"/> instead of closing.</summary>
    CutOff,

    /// <summary>The client reset the connection, or somebody aborted it.</summary>
    Broken,
}
