using System.Globalization;
using System.Text;

namespace PooledTcp.Ports;

/// <summary>How a census was counted.</summary>
internal enum CensusMethod
{
    /// <summary>Not at all: only this process's own ledger was asked, because it explains enough or nothing else can be.</summary>
    LedgerOnly,
    SockDiag,
    ActiveConnections,
}

/// <summary>Who holds the ports of one tuple, as the kernel sees it. Its text goes into LocalPortsExhaustedException.</summary>
internal sealed record PortCensus
{
    public required PortTuple Tuple { get; init; }

    public required PortRange Range { get; init; }

    public required int Usable { get; init; }

    public required CensusMethod Method { get; init; }

    /// <summary>What this process holds, by its ledger.</summary>
    public required PortUse Ours { get; init; }

    /// <summary>Different usable ports taken towards the destination, by anybody.</summary>
    public int Taken { get; init; }

    /// <summary>The sockets behind <see cref="Taken"/>, by state.</summary>
    public TcpStateCounts States { get; init; }

    /// <summary>
    /// Different usable ports that any socket of the host has, whatever its destination; null if nobody looked. Such a
    /// port is usually still free for this tuple, but not if it was bound explicitly or is listened on.
    /// </summary>
    public int? TakenByAnySocket { get; init; }

    /// <summary>TIME_WAITs of the host.</summary>
    public int? HostTimeWaits { get; init; }

    public int TimeWaits => States[TcpStates.TimeWait];

    /// <summary>Ports that our ledger does not explain: other processes, or other code of this one.</summary>
    public int Others => Math.Max(0, Taken - Ours.Held - Math.Min(Ours.Connecting, States[TcpStates.SynSent]));

    /// <summary>The taken part of the usable ports; what cannot be counted is what the ledger says.</summary>
    public double Share => ShareOf(Method == CensusMethod.LedgerOnly ? Ours.Held : Taken);

    /// <summary>The part of the ports in which somebody, somewhere, has a socket.</summary>
    public double ShareByAnySocket => ShareOf(TakenByAnySocket ?? Taken);

    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"local ports {Range} to {Tuple.ToString()}: ");
        if (Method == CensusMethod.LedgerOnly)
        {
            text.Append(CultureInfo.InvariantCulture, $"{Ours.Held} of {Usable} usable taken by this process ({OursInWords()}); others were not counted");
        }
        else
        {
            text.Append(CultureInfo.InvariantCulture, $"{Taken} of {Usable} usable taken, {Others} of them not by this process's pools ({OursInWords()}); by state: {States.ToString()}");
        }

        if (TakenByAnySocket is int any)
        {
            text.Append(CultureInfo.InvariantCulture, $"; {any} taken by sockets to any destination");
        }

        if (HostTimeWaits is int host)
        {
            text.Append(CultureInfo.InvariantCulture, $"; {host} TIME_WAITs on the host");
        }

        return text.ToString();
    }

    private string OursInWords() => string.Create(
        CultureInfo.InvariantCulture, $"{Ours.Live} live, {Ours.Connecting} connecting, {Ours.Closing} closing, {Ours.Owed} TIME_WAIT owed");

    private double ShareOf(int ports) => Usable > 0 ? (double)ports / Usable : 1;
}
