namespace PooledTcp;

/// <summary>
/// One pool at one moment. <see cref="Idle"/> + <see cref="Used"/> + <see cref="Connecting"/> + <see cref="Closing"/> is the
/// number of its live sockets; no count is ever negative. Totals count since the pool was made.
/// </summary>
public sealed record TcpPoolSnapshot
{
    internal TcpPoolSnapshot()
    {
    }

    /// <summary>The endpoint's configured name, or the address of an ad hoc pool.</summary>
    public required string Name { get; init; }

    /// <summary>Where it connects to, as configured.</summary>
    public required string Address { get; init; }

    /// <summary>Made for an address that is not configured; it goes away when it is unused.</summary>
    public required bool IsAdHoc { get; init; }

    /// <summary>What the pool does with a rent just now.</summary>
    public required TcpPoolState State { get; init; }

    /// <summary>One more at each <see cref="TcpPool.Clear"/> and each change of address, socket or TLS settings.</summary>
    public required int Generation { get; init; }

    /// <summary>The limit in force.</summary>
    public required int MaxConnections { get; init; }

    /// <summary>The setting in force.</summary>
    public required int MinIdleConnections { get; init; }

    /// <summary>The setting in force.</summary>
    public required int MaxConnecting { get; init; }

    /// <summary>The setting in force.</summary>
    public required int MaxWaiters { get; init; }

    /// <summary>Open connections that nobody holds, one that is being probed included.</summary>
    public required int Idle { get; init; }

    /// <summary>Connections on loan, those in a reset hook included.</summary>
    public required int Used { get; init; }

    /// <summary>Dials that are running, TLS and handshake included.</summary>
    public required int Connecting { get; init; }

    /// <summary>Connections that left the pool and whose socket is not closed yet.</summary>
    public required int Closing { get; init; }

    /// <summary>Callers waiting for a connection.</summary>
    public required int Waiting { get; init; }

    /// <summary>Leases given out, the running ones included.</summary>
    public required long Rents { get; init; }

    /// <summary>
    /// Those of <see cref="Rents"/> that had to wait: for a returned connection, or for a new one. All others found an idle
    /// connection at once.
    /// </summary>
    public required long RentsWaited { get; init; }

    /// <summary>
    /// Rents that were refused at once: <c>MaxWaiters</c> callers waited already, or nothing was idle and the breaker was open.
    /// </summary>
    public required long RentsRefused { get; init; }

    /// <summary>Rents that did not find an idle connection at once: until they were served, or failed, or left.</summary>
    public required TcpTimings WaitTime { get; init; }

    /// <summary>Dials that succeeded: name, connect, TLS and handshake together.</summary>
    public required TcpTimings CreateTime { get; init; }

    /// <summary>Connections opened.</summary>
    public required long Created { get; init; }

    /// <summary>Connections closed.</summary>
    public required long Closed { get; init; }

    /// <summary>
    /// Why connections were closed, those still closing included, by the names of <c>pooled_tcp.connection.close.reason</c>
    /// (<c>idle_timeout</c>, <c>returned_dirty</c> ...); reasons that have not occurred are absent.
    /// </summary>
    public required IReadOnlyDictionary<string, long> ClosedByReason { get; init; }

    /// <summary>How they were closed: <c>passive</c>, <c>goodbye</c>, <c>graceful</c>, <c>quiet</c>, <c>abort</c>; methods that have not occurred are absent.</summary>
    public required IReadOnlyDictionary<string, long> ClosedByMethod { get; init; }

    /// <summary>Of the closed ones, those whose peer's FIN or RST came before our own.</summary>
    public required long ClosedByPeer { get; init; }

    /// <summary>Local ports this process holds towards the pool's addresses, TIME-WAITs included, as its ledger counts them.</summary>
    public required int PortsUsed { get; init; }

    /// <summary>How many local ports the pool may reckon with, over the addresses it uses now; 0 while it uses none.</summary>
    public required int PortBudget { get; init; }

    /// <summary>
    /// The share of its budget that the fullest of the pool's addresses has taken, 0 to 1: a name may have several, and each
    /// has its own ports. It may pass 1 where others take ports, too.
    /// </summary>
    public required double PortPressure { get; init; }

    /// <summary>TIME-WAITs of ours that have not run out, as the ledger counts them.</summary>
    public required int TimeWaitOwed { get; init; }

    /// <summary>How many of them may be owed at one time: <c>Ports.TimeWaitShare</c> of the budget; 0 while the pool uses no address.</summary>
    public required int TimeWaitLimit { get; init; }

    /// <summary>Dials that failed.</summary>
    public required long DialsFailed { get; init; }

    /// <summary>Rents that ended at their deadline: in <see cref="RentTimeoutException"/>, or in <see cref="LocalPortsExhaustedException"/>.</summary>
    public required long RentTimeouts { get; init; }

    /// <summary>Exchanges that <see cref="TcpPool.ExecuteAsync{TState, TResult}(Func{TcpLease, TState, CancellationToken, ValueTask{TResult}}, TState, ExchangeOptions, CancellationToken)"/> ran a second time, on a new connection.</summary>
    public required long Retries { get; init; }

    /// <summary>
    /// After how long the peer closes idle connections, as learned from when it did; null while nothing is known. Connections
    /// that have idled almost so long are not lent any more.
    /// </summary>
    public required TimeSpan? LearnedIdleLimit { get; init; }

    /// <summary>Why the last failed dial failed; null when none did.</summary>
    public required Exception? LastConnectError { get; init; }

    /// <summary>How long ago that was; null when no dial failed.</summary>
    public required TimeSpan? LastConnectErrorAge { get; init; }

    /// <summary>
    /// Whether the endpoint is dialed: open only when the breaker of every address is. While it is open a rent that finds no
    /// idle connection fails at once.
    /// </summary>
    public required BreakerState BreakerState { get; init; }

    /// <summary>Its addresses, in the resolver's order; one for a literal, a unix socket or a connect callback.</summary>
    public required IReadOnlyList<TcpAddressSnapshot> Addresses { get; init; }
}
