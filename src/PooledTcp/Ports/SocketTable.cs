using System.Net;
using System.Net.NetworkInformation;

namespace PooledTcp.Ports;

/// <summary>Goes through the kernel's TCP sockets by the cheapest way this system has. Takes milliseconds, or more.</summary>
internal static class SocketTable
{
    /// <summary>Tells the tally of every socket that fits, and of others where the way that was taken cannot leave them out.</summary>
    /// <returns>How it was done; <see cref="CensusMethod.LedgerOnly"/> where it could not be, and then the tally is empty.</returns>
    public static CensusMethod Walk(PortAbilities abilities, TcpStates states, in SockDiagFilter filter, ISocketTally tally)
    {
        if (abilities.SockDiag)
        {
            Visitor visitor = new(tally);
            if (SockDiag.Dump(states, filter, ref visitor).IsOk)
            {
                return CensusMethod.SockDiag;
            }

            tally.Clear();
        }

        return abilities.ActiveConnections && WalkActiveConnections(tally) ? CensusMethod.ActiveConnections : CensusMethod.LedgerOnly;
    }

    private static bool WalkActiveConnections(ISocketTally tally)
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

    private readonly struct Visitor(ISocketTally tally) : ISockDiagVisitor
    {
        public void Visit(SockDiagEntry entry) =>
            tally.Add(entry.Local, entry.LocalPort, entry.Remote, entry.RemotePort, entry.State);
    }
}

/// <summary>What is counted on a walk through the kernel's sockets.</summary>
internal interface ISocketTally
{
    void Add(AddressKey local, int localPort, AddressKey remote, int remotePort, TcpStates state);

    /// <summary>The walk failed half-way, and another way is tried.</summary>
    void Clear();
}
