using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using PooledTcp.Ports;

namespace PooledTcp.KernelTests.Ports;

/// <summary>The ports of one process, wired as the dialer wires them, and dials through them.</summary>
internal sealed class PlannedDials
{
    private readonly PortPolicy _policy;

    /// <param name="policy">Of every dial.</param>
    /// <param name="abilities">Those of this machine, if null.</param>
    /// <param name="time">The ledger's clock; the machine's own, if null.</param>
    public PlannedDials(PortPolicy policy, PortAbilities? abilities = null, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        abilities ??= PortAbilities.Detected;
        _policy = policy;
        var kernel = new KernelPortSettingsReader(time);
        Ledger = new PortLedger(time, kernel.Current.TimeWaitHold);
        Planner = new PortPlanner(kernel, Ledger, abilities);
        Taker = new PortCensusTaker(Ledger, kernel, abilities);
        Watch = new PortWatch(Ledger, Taker, time);
    }

    public PortLedger Ledger { get; }

    public PortPlanner Planner { get; }

    public PortCensusTaker Taker { get; }

    public PortWatch Watch { get; }

    /// <summary>A connection and its account, or what the failure was diagnosed as.</summary>
    public async Task<Dialed> DialAsync(IPEndPoint destination, Peer? peer = null, bool dualMode = false)
    {
        if (!Planner.TryBegin(_policy, destination, out PortAccount? account, out PortCensus? known))
        {
            return new Dialed(null, null, new PortDiagnosis(PortFailure.Exhausted, known));
        }

        Socket socket = dualMode
            ? new Socket(SocketType.Stream, ProtocolType.Tcp)
            : new Socket(destination.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            Planner.Prepare(socket, account);
            await socket.ConnectAsync(destination);
            Ledger.Connected(account);
            return new Dialed(new Pair(socket, peer!.Accept()), account, default);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            PortDiagnosis diagnosis = await Watch.DiagnoseAsync(e, account);
            Ledger.ConnectFailed(account);
            return new Dialed(null, null, diagnosis);
        }
    }

    /// <summary>Dials until one fails; the connections stay open.</summary>
    public async Task<(List<Dialed> Open, PortDiagnosis Failure)> FillAsync(Peer peer, int atMost = 1000)
    {
        var open = new List<Dialed>();
        while (open.Count < atMost)
        {
            Dialed dialed = await DialAsync(peer.EndPoint, peer);
            if (dialed.Account is null)
            {
                return (open, dialed.Diagnosis);
            }

            open.Add(dialed);
        }

        return (open, default);
    }

    public void Close(Dialed dialed, PortDebt debt)
    {
        Ledger.Closing(dialed.Account!);
        if (debt == PortDebt.None)
        {
            dialed.Pair!.Value.CloseServerFirst();
        }
        else
        {
            dialed.Pair!.Value.CloseClientFirst();
        }

        Ledger.Closed(dialed.Account!, debt);
    }
}

internal sealed record Dialed(Pair? Pair, PortAccount? Account, PortDiagnosis Diagnosis);
