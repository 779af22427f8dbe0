namespace PooledTcp.IntegrationTests.Faults;

/// <summary>Where in a connection's life a fault meets it.</summary>
public enum FaultPhase
{
    /// <summary>Warm connections lie in the pool.</summary>
    Idle,

    /// <summary>Connections are being opened: the fault comes with the accept, a stall before it.</summary>
    Dialing,

    /// <summary>In the middle of the first reply of the TLS handshake.</summary>
    TlsHandshake,

    /// <summary>In the middle of the reply that the protocol's handshake waits for.</summary>
    Handshake,

    /// <summary>In the middle of a reply that callers wait for.</summary>
    Request,

    /// <summary>When the pool's FIN arrives.</summary>
    Closing,

    /// <summary>In the middle of the reply to the pool's farewell.</summary>
    Goodbye,
}
