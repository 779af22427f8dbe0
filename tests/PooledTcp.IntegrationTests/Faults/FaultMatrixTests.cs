using System.Net;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>
/// Every fault at every moment of a connection's life, under load. Every rent ends by its deadline, every reply taken for
/// good carries its caller's id, every error is one the library promises, the counts are the kernel's while the fault lasts
/// and after it, and service resumes when it is healed.
/// </summary>
public sealed class FaultMatrixTests(GarnetEmbedded plain, GarnetTls tls, ITestOutputHelper output)
    : IClassFixture<GarnetEmbedded>, IClassFixture<GarnetTls>
{
    private const int Limit = 60_000;
    private const int Connections = 8;

    private static readonly TimeSpan Window = TimeSpan.FromMilliseconds(600);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<FaultPhase, Fault> Cells()
    {
        var cells = new TheoryData<FaultPhase, Fault>();
        foreach (FaultPhase phase in Enum.GetValues<FaultPhase>())
        {
            foreach (Fault fault in Enum.GetValues<Fault>().Where(static fault => fault != Fault.None))
            {
                cells.Add(phase, fault);
            }
        }

        return cells;
    }

    [Theory(Timeout = Limit)]
    [MemberData(nameof(Cells))]
    public async Task Callers_are_told_in_time_and_never_lied_to(FaultPhase phase, Fault fault)
    {
        RespServer server = phase == FaultPhase.TlsHandshake ? tls : plain;
        await using var proxy = new FaultProxy(FreePort.Next(), new IPEndPoint(IPAddress.Loopback, server.Port));
        await using PooledTcpClient client = server.NewClient(endpoint => Configure(endpoint, proxy, phase));
        TcpPool pool = client.GetPool("server");
        using var machine = new MachineDelay();
        var audit = new DeadlineAudit(machine);
        var load = new FaultLoad(pool, audit);

        await BeginAsync(phase, fault, proxy, pool, load);
        Task callers = load.RunAsync(Window);
        if (phase == FaultPhase.Closing)
        {
            await Task.Delay(Window / 4, Token);
            pool.Clear();
        }

        await callers;
        string during = load.ToString();
        await KernelSockets.MatchAsync(pool, proxy.Port, others: proxy.Fillers, orFewer: true);
        proxy.Heal();
        TimeSpan served = await load.UntilServedAsync(Token);
        await KernelSockets.MatchAsync(pool, proxy.Port, orFewer: true);
        pool.Clear();
        await KernelSockets.MatchAsync(pool, proxy.Port);

        DeadlineAudit.Lateness lateness = audit.Judge();
        output.WriteLine($"{phase} x {fault}: {during}; {lateness}; served {served.TotalMilliseconds:F0} ms after healing; closed {Told(pool)}");
        Assert.Empty(load.Faults);
        lateness.AssertMet();
        if (phase is FaultPhase.Closing or FaultPhase.Goodbye)
        {
            // A peer that is odd about the end of one connection is no trouble to anybody on another.
            Assert.Equal(0, load[CallOutcome.Broken] + load[CallOutcome.Garbled]);
            Assert.True(load[CallOutcome.Ok] > 100, during);
        }
    }

    private static async Task BeginAsync(FaultPhase phase, Fault fault, FaultProxy proxy, TcpPool pool, FaultLoad load)
    {
        if (phase is FaultPhase.Idle or FaultPhase.Request or FaultPhase.Closing or FaultPhase.Goodbye)
        {
            await pool.WarmUpAsync(Connections, Token);
            await load.UntilServedAsync(Token);
        }

        switch (phase)
        {
            case FaultPhase.Idle:
                proxy.Inject(fault);
                break;
            case FaultPhase.Dialing when fault == Fault.Stall:
                await proxy.StopAnsweringDialsAsync(Token);
                break;
            case FaultPhase.Dialing:
                proxy.Inject(fault, FaultScope.Later);
                break;
            case FaultPhase.TlsHandshake or FaultPhase.Handshake:
                proxy.Inject(fault, FaultScope.Later, FaultTrigger.InReply, replyBytes: 2);
                break;
            case FaultPhase.Request:
                proxy.Inject(fault, FaultScope.All, FaultTrigger.InReply, replyBytes: 4);
                break;
            case FaultPhase.Closing:
                proxy.Inject(fault, FaultScope.Live, FaultTrigger.AtClientFin);
                break;
            case FaultPhase.Goodbye:
                // Before anybody calls, so that the next reply on each of them is the one to the farewell.
                proxy.Inject(fault, FaultScope.Live, FaultTrigger.InReply, replyBytes: 2);
                pool.Clear();
                break;
        }
    }

    private static void Configure(TcpEndpointOptions endpoint, FaultProxy proxy, FaultPhase phase)
    {
        endpoint.Address = proxy.Address;
        endpoint.MaxConnections = Connections;
        endpoint.ConnectTimeout = TimeSpan.FromMilliseconds(500);
        endpoint.Shutdown.DrainTimeout = TimeSpan.FromMilliseconds(300);
        switch (phase)
        {
            case FaultPhase.Handshake:
                endpoint.Handshake = new Greeting();
                break;
            case FaultPhase.Closing:
                endpoint.MaxConnections = 2 * Connections; // what is closing counts
                endpoint.Shutdown.ClosesFirst = ClosesFirst.Client;
                break;
            case FaultPhase.Goodbye:
                endpoint.MaxConnections = 2 * Connections;
                endpoint.Shutdown.Goodbye = "redis";
                endpoint.Shutdown.GoodbyeTimeout = TimeSpan.FromMilliseconds(300);
                break;
        }
    }

    private static string Told(TcpPool pool) =>
        string.Join(", ", pool.GetSnapshot().ClosedByReason.Concat(pool.GetSnapshot().ClosedByMethod).Select(static why => $"{why.Key} {why.Value}"));

    private sealed class Greeting : ITcpHandshake
    {
        public async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
        {
            RespReply reply = await connection.CommandAsync(cancellationToken, "ECHO", "hello, server");
            return reply.Text == "hello, server" ? null : throw new InvalidDataException($"Greeted with {reply.Text}");
        }
    }
}
