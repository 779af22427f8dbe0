using System.Net;
using System.Net.NetworkInformation;

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

    private CensusMethod Count(in PortTuple tuple, Tally tally, bool anyDestination)
    {
        if (abilities.SockDiag)
        {
            TcpStates states = anyDestination ? TcpStates.All : TcpStates.Connections;
            SockDiagFilter filter = anyDestination
                ? default
                : new SockDiagFilter { Local = tuple.Source, Remote = tuple.Destination, RemotePort = tuple.Port };
            var visitor = new TallyVisitor(tally);
            if (SockDiag.Dump(states, filter, ref visitor).IsOk)
            {
                return CensusMethod.SockDiag;
            }

            tally.Clear();
        }

        return abilities.ActiveConnections && CountActiveConnections(tally) ? CensusMethod.ActiveConnections : CensusMethod.LedgerOnly;
    }

    private static bool CountActiveConnections(Tally tally)
    {
        try
        {
            var properties = IPGlobalProperties.GetIPGlobalProperties();
            foreach (TcpConnectionInformation connection in properties.GetActiveTcpConnections())
            {
                IPEndPoint local = connection.LocalEndPoint;
                IPEndPoint remote = connection.RemoteEndPoint;
                tally.Add(AddressKey.From(local.Address), local.Port, AddressKey.From(remote.Address), remote.Port, Translate(connection.State));
            }

            foreach (IPEndPoint listener in properties.GetActiveTcpListeners())
            {
                tally.Add(AddressKey.From(listener.Address), listener.Port, AddressKey.Any, 0, TcpStates.Listen);
            }

            return true;
        }
        catch (Exception e) when (e is NetworkInformationException or IOException or UnauthorizedAccessException
            or PlatformNotSupportedException or FormatException)
        {
            tally.Clear();
            return false;
        }
    }

    private static TcpStates Translate(TcpState state) => state switch
    {
        TcpState.Established => TcpStates.Established,
        TcpState.SynSent => TcpStates.SynSent,
        TcpState.SynReceived => TcpStates.SynReceived,
        TcpState.FinWait1 => TcpStates.FinWait1,
        TcpState.FinWait2 => TcpStates.FinWait2,
        TcpState.TimeWait => TcpStates.TimeWait,
        TcpState.CloseWait => TcpStates.CloseWait,
        TcpState.LastAck => TcpStates.LastAck,
        TcpState.Listen => TcpStates.Listen,
        TcpState.Closing => TcpStates.Closing,
        _ => TcpStates.None,
    };

    private sealed class Tally(PortTuple tuple)
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

    private readonly struct TallyVisitor(Tally tally) : ISockDiagVisitor
    {
        public void Visit(SockDiagEntry entry) =>
            tally.Add(entry.Local, entry.LocalPort, entry.Remote, entry.RemotePort, entry.State);
    }
}
