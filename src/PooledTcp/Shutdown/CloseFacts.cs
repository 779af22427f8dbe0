namespace PooledTcp.Shutdown;

/// <summary>Everything the closing decision looks at. Gathered once, right before it.</summary>
internal readonly record struct CloseFacts
{
    public CloseReason Reason { get; init; }

    public ConnectionState State { get; init; }

    /// <summary>Bytes wait to be read: in the kernel, in the TLS layer or in a pipe.</summary>
    public bool HasUnread { get; init; }

    /// <summary>Bytes were sent that the peer has not acknowledged, or not sent at all yet.</summary>
    public bool HasUnsent { get; init; }

    /// <summary>Retransmits are running, or the last ACK is older than keepalive needs to give up.</summary>
    public bool Vanished { get; init; }

    /// <summary>The configured farewell, or on TLS close_notify; false once it was tried.</summary>
    public bool GoodbyeKnown { get; init; }

    /// <summary>The destination's account has a token: one more TIME-WAIT fits into its share.</summary>
    public bool TokenAvailable { get; init; }

    /// <summary>The destination's last dial found no port.</summary>
    public bool PortsExhausted { get; init; }

    /// <summary>Somebody waits for a connection to this destination.</summary>
    public bool HasWaiters { get; init; }

    public bool IsUnix { get; init; }

    /// <summary>The platform has TCP_LINGER2 = -1.</summary>
    public bool QuietSupported { get; init; }

    public ClosesFirst ClosesFirst { get; init; }

    public bool AllowQuietClose { get; init; }

    public bool AllowAbort { get; init; }

    /// <summary>
    /// Request and reply have lost step: what arrives next belongs to somebody who is gone. Follows from the reason.
    /// </summary>
    public bool IsOutOfStep => Reason is CloseReason.Faulted or CloseReason.Abandoned or CloseReason.Leaked or CloseReason.ReturnedDirty or CloseReason.HealthCheckFailed;
}

/// <summary>The connection as the kernel sees it.</summary>
internal enum ConnectionState
{
    /// <summary>Open both ways.</summary>
    Established,

    /// <summary>The peer's FIN is here.</summary>
    PeerClosed,

    /// <summary>The peer's RST is here, or the socket failed.</summary>
    Reset,

    /// <summary>The dial was given up before it was answered.</summary>
    Connecting,
}
