using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using PooledTcp.Connections;
using PooledTcp.KernelTests.Harness;
using PooledTcp.KernelTests.Ports;
using PooledTcp.Ports;
using PooledTcp.Shutdown;
using Xunit;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>
/// The server's FIN may come at any moment of a close: before ours, across it, or between an escalation and the close it asks
/// for. Whatever the kernel makes of it, the books never know of fewer TIME_WAITs than there are.
/// </summary>
public sealed class CloseRaceTests
{
    private const int Closes = 300;

    private static readonly NamespaceSettings Namespace = NamespaceSettings.FullRange.With("tcp_tw_reuse", "0");

    /// <param name="TimeWaits">At the client's ports.</param>
    /// <param name="Untold">Of those, the ones that their close did not report.</param>
    /// <param name="Invented">Reported, and not there.</param>
    /// <param name="Ledger">The books at the end.</param>
    private sealed record Tally(int TimeWaits, int Untold, int Invented, PortUse Ledger);

    [Fact]
    public async Task A_graceful_close_escalated_while_the_server_answers()
    {
        Tally tally = await NetworkNamespace.RunAsync(EscalateAsync, Namespace);

        // Those of which the end is given are a tenth each; the machine decides about the rest.
        Assert.InRange(tally.TimeWaits, Closes / 10, Closes - (Closes / 10));
        AssertTold(tally);
    }

    [Fact]
    public async Task A_graceful_close_of_tls_whose_close_notify_is_answered_at_once() =>
        AssertTold(await NetworkNamespace.RunAsync(GracefulOverTlsAsync, Namespace));

    [Fact]
    public async Task A_quiet_close_of_tls_whose_close_notify_is_answered_at_once() =>
        AssertTold(await NetworkNamespace.RunAsync(QuietOverTlsAsync, Namespace));

    private static void AssertTold(Tally tally)
    {
        Assert.True(tally.Untold == 0, tally.ToString());
        Assert.True(tally.TimeWaits <= tally.Ledger.Owed, tally.ToString());
        Assert.True(tally.Ledger is { Live: 0, Closing: 0, Promised: 0 }, tally.ToString());
    }

    private static async Task<Tally> EscalateAsync()
    {
        using var peer = Peer.Start();
        var dials = new PlannedDials(new PortPolicy());
        var random = new Random(1);
        var closed = new List<(KernelView, CloseOutcome)>();
        for (int i = 0; i < Closes; i++)
        {
            Dialed dialed = await dials.DialAsync(peer.EndPoint, peer);
            (Socket client, Socket server) = dialed.Pair!.Value;
            var kernel = new KernelView(client);
            var close = new PoolClose(new SocketTransport(new ConnectedSocket(client, dialed.Account)), dials.Ledger, dialed.Account!);
            int untilAnswer = random.Next(20_000);

            // On a busy machine one side may win every race, so each wins some without one.
            bool serverIsFirst = i % 10 == 0;
            bool serverIsLast = i % 10 == 1;
            using var sawFin = new ManualResetEventSlim();
            using var mayAnswer = new ManualResetEventSlim(!serverIsLast);
            var answer = new Thread(() => Answer(server, sawFin, mayAnswer, untilAnswer));
            answer.Start();

            // Graceful: our FIN goes out here, and the run waits for the server's.
            CloseRun run = close.Start();
            sawFin.Wait(TimeSpan.FromSeconds(60));
            Thread.SpinWait(random.Next(4000));
            if (serverIsFirst)
            {
                await close.WaitAsync();
            }

            run.TryEscalate();
            closed.Add((kernel, await close.WaitAsync()));
            mayAnswer.Set();
            answer.Join();
        }

        return await CountAsync(closed, dials, peer.EndPoint);
    }

    private static void Answer(Socket server, ManualResetEventSlim sawFin, ManualResetEventSlim mayAnswer, int untilAnswer)
    {
        server.Receive(new byte[1]);
        sawFin.Set();
        mayAnswer.Wait(TimeSpan.FromSeconds(60));
        Thread.SpinWait(untilAnswer);
        server.Dispose();
    }

    private static Task<Tally> GracefulOverTlsAsync() => CloseOverTlsAsync(ClosesFirst.Client, portIsWanted: false);

    private static Task<Tally> QuietOverTlsAsync() => CloseOverTlsAsync(ClosesFirst.Auto, portIsWanted: true);

    private static async Task<Tally> CloseOverTlsAsync(ClosesFirst closesFirst, bool portIsWanted)
    {
        using var peer = Peer.Start();
        var dials = new PlannedDials(new PortPolicy());
        var closed = new List<(KernelView, CloseOutcome)>();
        for (int i = 0; i < Closes; i++)
        {
            Dialed dialed = await dials.DialAsync(peer.EndPoint, peer);
            using var server = new ServerProgram(dialed.Pair!.Value.Server, tls: true) { ClosesOnFarewell = true };
            Task accept = server.AcceptTlsAsync(SslProtocols.Tls13);
            var kernel = new KernelView(dialed.Pair.Value.Client);
            Transport transport = await TlsTransport.AuthenticateAsync(
                new ConnectedSocket(dialed.Pair.Value.Client, dialed.Account), TestCertificate.Pinned(SslProtocols.Tls13), CancellationToken.None);
            await accept;
            Task<PeerSaw> program = Task.Run(server.RunAsync);
            var close = new PoolClose(transport, dials.Ledger, dialed.Account!) { ClosesFirst = closesFirst, PortIsWanted = portIsWanted };
            close.Start();
            closed.Add((kernel, await close.WaitAsync()));
            await program;
        }

        return await CountAsync(closed, dials, peer.EndPoint);
    }

    private static async Task<Tally> CountAsync(List<(KernelView Kernel, CloseOutcome Outcome)> closed, PlannedDials dials, IPEndPoint server)
    {
        foreach ((KernelView kernel, _) in closed)
        {
            await KernelView.UntilAsync(() => kernel.IsClientSettled, kernel.States);
        }

        return new Tally(
            KernelView.CountClientTimeWaits(server),
            closed.Count(static close => close.Kernel.ClientEnd is not null && !close.Outcome.TimeWaitIsOurs),
            closed.Count(static close => close.Kernel.ClientEnd is null && close.Outcome.TimeWaitIsOurs),
            dials.Ledger.Total());
    }
}
