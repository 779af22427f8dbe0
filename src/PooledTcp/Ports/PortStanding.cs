namespace PooledTcp.Ports;

/// <summary>What the ledger knows about a tuple before a dial.</summary>
/// <param name="Use">The ports this process holds there.</param>
/// <param name="Failure">Why the last dial failed, while dials are held off for it.</param>
/// <param name="LastCensus">The last count, if one was needed.</param>
internal readonly record struct PortStanding(PortUse Use, PortFailure Failure, PortCensus? LastCensus);
