namespace PooledTcp.Ports;

/// <summary>Counts the sockets behind an account. Never throws: what cannot be counted is said in the census.</summary>
internal interface IPortCensusTaker
{
    /// <param name="account">Whose ports.</param>
    /// <param name="anyDestination">Whether to count, too, the ports that sockets to any destination have: a longer look.</param>
    PortCensus Take(PortAccount account, bool anyDestination = false);

    /// <summary>What is known without counting.</summary>
    PortCensus FromLedger(PortAccount account);
}
