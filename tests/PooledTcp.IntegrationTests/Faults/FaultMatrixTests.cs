using System.Diagnostics;
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

    // A cut at every connection leaves more than a thousand TIME_WAITs, at the proxy, in each of some cells. They all name
    // these ports, and the tests beside these have the others.
    private const int Ports = 4000;

    // Calls of some tenth of the window: others are served while one connection is closed oddly.
    private const int Enough = 100;

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
        bool isNobodysTrouble = phase is FaultPhase.Closing or FaultPhase.Goodbye;
        long start = Stopwatch.GetTimestamp();
        Task callers = load.RunAsync(() => Stopwatch.GetElapsedTime(start) >= Window && (!isNobodysTrouble || load[CallOutcome.Ok] > Enough));
        if (phase == FaultPhase.Closing)
        {
            await Task.Delay(Window / 4, Token);
            pool.Clear();
        }

        await callers;
        string during = load.ToString();
        await KernelSockets.MatchAsync(pool, proxy.Port, others: proxy.Fillers);
        proxy.Heal();
        TimeSpan served = await load.UntilServedAsync(Token);
        await KernelSockets.MatchAsync(pool, proxy.Port);
        pool.Clear();
        await KernelSockets.MatchAsync(pool, proxy.Port);

        DeadlineAudit.Lateness lateness = audit.Judge();
        output.WriteLine($"{phase} x {fault}: {during}; {lateness}; served {served.TotalMilliseconds:F0} ms after healing; closed {Told(pool)}");
        Assert.Empty(load.Faults);
        lateness.AssertMet();
        if (isNobodysTrouble)
        {
            // A peer that is odd about the end of one connection is no trouble to anybody on another.
            Assert.Equal(0, load[CallOutcome.Broken] + load[CallOutcome.Garbled]);
        }
    }

    [Theory(Timeout = Limit)]
    [InlineData(Fault.Cut)]
    [InlineData(Fault.Reset)]
    [InlineData(Fault.HalfClose)]
    [InlineData(Fault.Garbage)]
    public async Task What_died_or_spoke_while_it_lay_idle_is_never_lent(Fault fault)
    {
        Assert.SkipUnless(ProcessSockets.CanCount, "Asks the kernel what has arrived.");
        await using var proxy = new FaultProxy(FreePort.Next(), new IPEndPoint(IPAddress.Loopback, plain.Port));
        await using PooledTcpClient client = plain.NewClient(endpoint =>
        {
            Configure(endpoint, proxy, FaultPhase.Idle);
            endpoint.ConnectTimeout = endpoint.RentTimeout = TimeSpan.FromSeconds(20);
        });
        TcpPool pool = client.GetPool("server");
        using var machine = new MachineDelay();
        var load = new FaultLoad(pool, new DeadlineAudit(machine));
        await BeginAsync(FaultPhase.Request, Fault.None, proxy, pool, load);
        Assert.Equal(Connections, ProcessSockets.CountUntouchedTo(proxy.Port));

        // Only what lies there; what is dialed afterwards is sound.
        proxy.Inject(fault, FaultScope.Live);
        await Eventually.TrueAsync(() => ProcessSockets.CountUntouchedTo(proxy.Port) == 0, static () => "The fault did not arrive everywhere.");
        if (fault != Fault.Garbage)
        {
            // No rent has to come by: whoever watches the peers closes what they closed.
            await Eventually.TrueAsync(() => pool.GetSnapshot().Closed == Connections, () => $"Dead and idle still: {pool.GetSnapshot()}");
        }

        TcpLease[] leases = await Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => pool.RentAsync(Token).AsTask()));
        for (int i = 0; i < Connections; i++)
        {
            await using TcpLease lease = leases[i];
            Assert.False(lease.IsReused);
            Assert.Equal($"{i}", (await lease.CommandAsync(Token, "ECHO", $"{i}")).Text);
            lease.Complete();
        }

        await KernelSockets.MatchAsync(pool, proxy.Port);
        TcpPoolSnapshot after = pool.GetSnapshot();
        output.WriteLine($"{fault}: closed {Told(pool)}");
        Assert.Equal((2 * Connections, Connections, Connections), (after.Created, after.Closed, after.Idle));
    }

    private static async Task BeginAsync(FaultPhase phase, Fault fault, FaultProxy proxy, TcpPool pool, FaultLoad load)
    {
        if (phase is FaultPhase.Idle or FaultPhase.Request or FaultPhase.Closing or FaultPhase.Goodbye)
        {
            await load.WarmUpAsync(Connections, Token);
            await load.UntilServedAsync(Token);

            // A dial is done when the kernel has queued it; the proxy accepts in its own time.
            await Eventually.TrueAsync(() => proxy.Open == Connections, () => $"The proxy has accepted {proxy.Open}");
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
        endpoint.Ports.Range = PortSlice.Last(Ports);
        endpoint.ConnectTimeout = TimeSpan.FromMilliseconds(500);
        endpoint.Health.MaxBackoff = TimeSpan.FromMilliseconds(200);
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
