namespace PooledTcp.Ports;

/// <summary>What the ledger knows about a tuple before a dial.</summary>
/// <param name="Use">The ports this process holds there.</param>
/// <param name="IsExhausted">A dial found no port less than <see cref="PortLedger.ExhaustionHold"/> ago.</param>
/// <param name="LastCensus">The last count, if one was needed.</param>
internal readonly record struct PortStanding(PortUse Use, bool IsExhausted, PortCensus? LastCensus);
