namespace PooledTcp.Ports;

/// <summary>Counts the kernel's sockets by the cheapest way this system has.</summary>
internal sealed class PortCensusTaker(PortLedger ledger, KernelPortSettingsReader kernel, PortAbilities abilities) : IPortCensusTaker
{
    public PortCensus Take(PortAccount account, bool anyDestination = false)
    {
        var tally = new Tally(account.Tuple);
        CensusMethod method = Count(account.Tuple, tally, anyDestination);
        IReadOnlyList<PortRange> reserved = kernel.Current.Reserved;
        return new PortCensus
        {
            Tuple = account.Tuple,
            Range = account.Range,
            Usable = account.Usable,
            Method = method,
            Ours = ledger.Use(account),
            Taken = tally.Towards.CountIn(account.Range, reserved),
            States = tally.States,
            TakenByAnySocket = anyDestination && method != CensusMethod.LedgerOnly ? tally.Anywhere.CountIn(account.Range, reserved) : null,
            HostTimeWaits = SockStat.ReadTimeWaits(),
        };
    }

    public PortCensus FromLedger(PortAccount account) => new()
    {
        Tuple = account.Tuple,
        Range = account.Range,
        Usable = account.Usable,
        Method = CensusMethod.LedgerOnly,
        Ours = ledger.Use(account),
        HostTimeWaits = SockStat.ReadTimeWaits(),
    };

    private CensusMethod Count(in PortTuple tuple, Tally tally, bool anyDestination) => anyDestination
        ? SocketTable.Walk(abilities, TcpStates.All, default, tally)
        : SocketTable.Walk(
            abilities,
            TcpStates.Connections,
            new SockDiagFilter { Local = tuple.Source, Remote = tuple.Destination, RemotePort = tuple.Port },
            tally);

    private sealed class Tally(PortTuple tuple) : ISocketTally
    {
        private TcpStateCounts _states;

        public PortSet Towards { get; } = new();

        public PortSet Anywhere { get; } = new();

        public TcpStateCounts States => _states;

        public void Add(AddressKey local, int localPort, AddressKey remote, int remotePort, TcpStates state)
        {
            Anywhere.Add(localPort);
            if (remotePort == tuple.Port && remote == tuple.Destination && (state & TcpStates.Connections) != TcpStates.None
                && (tuple.Source.IsAny || tuple.Source == local))
            {
                Towards.Add(localPort);
                _states.Add(state);
            }
        }

        public void Clear()
        {
            Towards.Clear();
            Anywhere.Clear();
            _states = default;
        }
    }
}
