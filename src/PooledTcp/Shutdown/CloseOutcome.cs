namespace PooledTcp.Shutdown;

/// <summary>How a connection was closed in the end.</summary>
/// <param name="Method">The method that ended it, after any that ran out of time.</param>
/// <param name="PeerFirst">The peer's FIN or RST came before ours: <c>close.initiator</c>.</param>
/// <param name="TimeWaitIsOurs">Our FIN was first and the peer answered it: the port is owed for a minute.</param>
internal readonly record struct CloseOutcome(CloseMethod Method, bool PeerFirst, bool TimeWaitIsOurs)
{
    /// <summary>As telemetry spells it.</summary>
    public string Initiator => PeerFirst ? "peer" : "local";
}
