namespace PooledTcp.Ports;

/// <summary>What a failed bind or connect says about ports. In the order in which a planner would rather dial.</summary>
internal enum PortFailure
{
    /// <summary>Another kind of error.</summary>
    NotAboutPorts,

    /// <summary>No local port is left for the tuple.</summary>
    Exhausted,

    /// <summary>The source or destination address cannot be used from this host: the next address, or an error that names it.</summary>
    UnusableAddress,
}

/// <param name="Failure">The verdict.</param>
/// <param name="Census">With <see cref="PortFailure.Exhausted"/>: who holds the ports.</param>
internal readonly record struct PortDiagnosis(PortFailure Failure, PortCensus? Census);
