namespace PooledTcp.KernelTests.SeedQuestion;

/// <summary>What became of one churn: the same requests, each on a connection of its own, under one way of closing.</summary>
/// <param name="Offered">Requests.</param>
/// <param name="Ok">Those that were answered.</param>
/// <param name="Errors">Errno of the failed ones, and how many failed so.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="PeerSawEnd">Connections whose end the server's program read as an end of stream.</param>
/// <param name="PeerSawReset">Connections whose end it read as ConnectionReset.</param>
/// <param name="ClientTimeWaits">TIME_WAITs on the client's ports, right afterwards.</param>
/// <param name="ServerTimeWaits">TIME_WAITs on the server's port.</param>
/// <param name="Overflows">TCPTimeWaitOverflow of /proc/net/netstat: closes that skipped TIME_WAIT.</param>
/// <param name="BystanderTimeWaits">TIME_WAITs that ten closes of another program, between other ports, left behind.</param>
public sealed record ChurnResult(
    int Offered,
    int Ok,
    Dictionary<int, int> Errors,
    double Seconds,
    int PeerSawEnd,
    int PeerSawReset,
    int ClientTimeWaits,
    int ServerTimeWaits,
    long Overflows,
    int BystanderTimeWaits)
{
    public int Failed => Offered - Ok;
}
