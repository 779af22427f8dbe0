using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace PooledTcp.Ports;

/// <summary>
/// Decides, before a dial, from which address and ports it connects, and prepares the socket for it. Every pooled dial on
/// Linux gets an explicit port range, even if it is the system's own: that alone keeps connect() at microseconds past
/// half full (tcp-facts section 3).
/// </summary>
internal sealed class PortPlanner(KernelPortSettingsReader kernel, PortLedger ledger, PortAbilities abilities)
{
    /// <summary>
    /// Opens the account of a dial, from the least used source address that works. False when all that work are exhausted
    /// just now; <paramref name="census"/> then says what is known of the least used one. If none works, one is tried all
    /// the same: that fails at once and says why.
    /// </summary>
    public bool TryBegin(
        PortPolicy policy, IPEndPoint destination, [NotNullWhen(true)] out PortAccount? account, out PortCensus? census)
    {
        KernelPortSettings settings = kernel.Current;
        PortRange range = abilities.LocalPortRange ? settings.Confine(policy.Range) : settings.AssumedRange;
        PortTuple tuple = ChooseTuple(policy, destination, range, out PortStanding standing);
        census = standing.LastCensus;
        account = standing.Failure == PortFailure.Exhausted ? null : ledger.Connecting(tuple, range, settings.CountUsable(range));
        return account is not null;
    }

    /// <summary>
    /// Readies a fresh socket. Nobody may read its LocalEndPoint before it is connected: that would freeze the port at 0
    /// (tcp-facts section 3).
    /// </summary>
    /// <exception cref="SocketException">AddressNotAvailable: the host does not have that source address.</exception>
    public void Prepare(Socket socket, PortAccount account)
    {
        if (abilities.LocalPortRange)
        {
            PortSocketOptions.SetPortRange(socket, account.Range);
        }

        if (!account.Tuple.Source.IsAny)
        {
            IPAddress source = account.Tuple.Source.ToIPAddress();
            bool isDualMode = socket.AddressFamily == AddressFamily.InterNetworkV6 && source.AddressFamily == AddressFamily.InterNetwork;

            // Without this option the bind would take its port for every destination, and hide it from every automatic
            // connect of the host; with it, the port is chosen at connect, for the tuple alone.
            PortSocketOptions.SetBindAddressNoPort(socket);
            socket.Bind(new IPEndPoint(isDualMode ? source.MapToIPv6() : source, 0));
        }
    }

    private PortTuple ChooseTuple(PortPolicy policy, IPEndPoint destination, PortRange range, out PortStanding standing)
    {
        PortTuple? best = null;
        standing = default;
        if (abilities.BindAddressNoPort)
        {
            bool isIPv4 = AddressKey.From(destination.Address).IsIPv4;
            foreach (IPAddress source in policy.SourceAddresses)
            {
                // A source of the other family cannot reach it.
                if (AddressKey.From(source).IsIPv4 != isIPv4)
                {
                    continue;
                }

                var tuple = PortTuple.To(destination, source);
                PortStanding candidate = ledger.Look(tuple, range);
                if (best is null || IsBetter(candidate, standing))
                {
                    (best, standing) = (tuple, candidate);
                }
            }
        }

        if (best is PortTuple chosen)
        {
            return chosen;
        }

        var any = PortTuple.To(destination);
        standing = ledger.Look(any, range);
        return any;
    }

    private static bool IsBetter(in PortStanding a, in PortStanding b) =>
        a.Failure != b.Failure ? a.Failure < b.Failure : a.Use.Ports < b.Use.Ports;
}
