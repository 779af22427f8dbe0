using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using Xunit;

namespace PooledTcp.KernelTests.Outage;

/// <summary>
/// The outage this library exists for: 64 ports, no reuse of TIME_WAIT, one destination, 2,000 requests a second for 20
/// seconds, each of which closes its connection. A quarter of the ports, 16, may be in TIME_WAIT.
/// </summary>
/// <param name="light">Those that wait rather than work. They run beside the others.</param>
public sealed class OutageTests(OutageTests.LightOnes light) : IClassFixture<OutageTests.LightOnes>
{
    private const int Ports = 64;
    private const int Share = 16;

    private static readonly NamespaceSettings Settings = NamespaceSettings.SmallRange.With("tcp_tw_reuse", "0");
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan ShortWait = TimeSpan.FromSeconds(2);

    public sealed record PlainOutcome(int Succeeded, List<string> Errors, int ClientTimeWaits);

    [Fact]
    public async Task A_connection_per_request_fails_from_the_65th_on()
    {
        PlainOutcome seen = await NetworkNamespace.RunAsync(ConnectPerRequestAsync, Settings);

        Assert.Equal(Ports, seen.Succeeded);
        Assert.Equal(Ports, seen.ClientTimeWaits);
        Assert.Equal(Enumerable.Repeat("errno 99, AddressNotAvailable 10049", 6), seen.Errors);
    }

    private static async Task<PlainOutcome> ConnectPerRequestAsync()
    {
        using SmallServer server = SmallServer.Start();
        int succeeded = 0;
        List<string> errors = [];
        for (int request = 1; request <= Ports + 6; request++)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(server.EndPoint);
                byte[] buffer = [SmallServer.Request];
                await socket.SendAsync(buffer.AsMemory());
                await socket.ReceiveAsync(buffer.AsMemory());
                socket.Shutdown(SocketShutdown.Send);
                await socket.ReceiveAsync(buffer.AsMemory());
                succeeded += errors.Count == 0 ? 1 : throw new InvalidOperationException($"Request {request} succeeded after a failure.");
            }
            catch (SocketException e)
            {
                errors.Add($"errno {e.NativeErrorCode}, {e.SocketErrorCode} {(int)e.SocketErrorCode}");
            }
        }

        return new PlainOutcome(succeeded, errors, Sockets.ClientTimeWaits(server.EndPoint.Port));
    }

    [Fact]
    public async Task Auto_carries_it_within_its_share()
    {
        ChurnResult result = await NetworkNamespace.RunAsync(ChurnAutoAsync, Settings);

        AssertCarried(result);
        Assert.InRange(result.ClosedByMethod["graceful"], Share, Share * Minutes(result));
        Assert.Equal(result.Created - result.ClosedByMethod["graceful"], result.ClosedByMethod["quiet"]);
        AssertShareIsUsed(result);
        Assert.Equal(0, result.ServerTimeWaits);
    }

    private static Task<ChurnResult> ChurnAutoAsync() => Churn.RunAsync(Patient, Length);

    [Fact]
    public async Task Auto_with_a_farewell_leaves_TIME_WAIT_to_the_server()
    {
        ChurnResult result = await NetworkNamespace.RunAsync(ChurnAutoWithGoodbyeAsync, Settings);

        AssertCarried(result);
        AssertServerClosedFirst(result);
    }

    private static Task<ChurnResult> ChurnAutoWithGoodbyeAsync() => Churn.RunAsync(
        endpoint =>
        {
            Patient(endpoint);
            endpoint.Shutdown.Goodbye = SmallServer.Goodbye;
        },
        Length);

    [Fact]
    public async Task Server_first_with_a_farewell_carries_it_too()
    {
        ChurnResult result = await NetworkNamespace.RunAsync(ChurnServerFirstAsync, Settings);

        AssertCarried(result);
        AssertServerClosedFirst(result);
        Assert.Equal(0, result.MaxClientTimeWaits);
    }

    private static Task<ChurnResult> ChurnServerFirstAsync() => Churn.RunAsync(
        endpoint =>
        {
            Patient(endpoint);
            endpoint.Shutdown.ClosesFirst = ClosesFirst.Server;
            endpoint.Shutdown.Goodbye = SmallServer.Goodbye;
        },
        Length);

    [Fact]
    public async Task Server_first_without_a_farewell_is_pre_empted_by_who_waits()
    {
        ChurnResult result = await light.ServerNeverClosesAsync;

        AssertCarried(result);
        Assert.Equal((0, 0, 0L), (result.MaxClientTimeWaits, result.ServerTimeWaits, result.ClosedByPeer));
        Assert.Equal(result.Created, result.ClosedByMethod["quiet"]);
    }

    // The server never closes by itself: every connection would wait 75 s for that, if nobody needed its place.
    private static Task<ChurnResult> ChurnServerNeverClosesAsync() => Churn.RunAsync(
        endpoint =>
        {
            Patient(endpoint);
            endpoint.Shutdown.ClosesFirst = ClosesFirst.Server;
        },
        TimeSpan.FromSeconds(5),
        perSecond: 200);

    [Fact]
    public async Task Client_first_ends_in_typed_errors_when_ports_run_out()
    {
        ChurnResult result = await light.ClientFirstAsync;

        AssertTypedAtTheDeadline(result, nameof(LocalPortsExhaustedException));

        // 16 that may be in TIME_WAIT, and 48 whose close waits for a token that comes back after a minute.
        Assert.InRange(result.Succeeded, Ports, Ports + (Share * (Minutes(result) - 1)));
        Assert.Contains($"{Ports} of {Ports} usable taken by this process", string.Concat(result.Texts), StringComparison.Ordinal);
        Assert.InRange(result.DialsFailed, 1, 2 * result.Took.TotalSeconds);
    }

    private static Task<ChurnResult> ChurnClientFirstAsync() => Churn.RunAsync(ClientFirst, Length);

    [Fact]
    public async Task Client_first_ends_in_typed_errors_when_its_connections_run_out()
    {
        ChurnResult result = await light.ClientFirstFewConnectionsAsync;

        AssertTypedAtTheDeadline(result, nameof(RentTimeoutException));
        Assert.InRange(result.Succeeded, Share + 40, Share + 40 + (Share * (Minutes(result) - 1)));
        Assert.Equal(0, result.DialsFailed);
    }

    private static Task<ChurnResult> ChurnClientFirstFewConnectionsAsync() => Churn.RunAsync(
        endpoint =>
        {
            ClientFirst(endpoint);
            endpoint.MaxConnections = 40;
        },
        Length);

    // What the machine cannot carry in time waits; that it is slow is not what is asked here.
    private static void Patient(TcpEndpointOptions endpoint)
    {
        endpoint.RentTimeout = TimeSpan.FromMinutes(3);
        endpoint.ConnectTimeout = TimeSpan.FromMinutes(3);
    }

    // On a machine so slow that the run takes longer, the first tokens come back and are used again: once in each of these.
    // 55 s, as the kernel is read some seconds after the run.
    private static int Minutes(ChurnResult result) => 1 + (int)(result.Took.TotalSeconds / 55);

    // Past the first minute some have run out, and not all of their tokens, which come back up to 5 s later, are used again.
    private static void AssertShareIsUsed(ChurnResult result) =>
        Assert.InRange(result.ClientTimeWaits, Minutes(result) == 1 ? Share : 1, Share);

    private static void ClientFirst(TcpEndpointOptions endpoint)
    {
        endpoint.RentTimeout = ShortWait;
        endpoint.Shutdown.ClosesFirst = ClosesFirst.Client;
    }

    private static void AssertCarried(ChurnResult result)
    {
        TestContext.Current.TestOutputHelper!.WriteLine($"{result}");
        Assert.Empty(result.Failures);
        Assert.Equal(result.Offered, result.Succeeded);
        Assert.InRange(result.MaxClientTimeWaits, 0, Share);
        Assert.InRange(result.ClientTimeWaits, Minutes(result) == 1 ? result.Owed : 0, result.Owed);
        Assert.Equal(0, result.UnderCounts);
        Assert.Equal(0, result.LeftOpen);
        Assert.Empty(result.SysctlChanges);
    }

    // On a machine that cannot keep up, some are pre-empted by who waits, or miss the farewell's deadline: those close quietly.
    // At most 64: a newer SYN takes over the server's TIME_WAIT of the same tuple (tcp-facts section 3).
    private static void AssertServerClosedFirst(ChurnResult result)
    {
        Assert.Equal(result.Created, result.ClosedByMethod.Values.Sum());
        Assert.InRange(result.ClosedByMethod["goodbye"], result.Created / 2, result.Created);
        Assert.InRange(result.ClosedByPeer, result.ClosedByMethod["goodbye"], result.Created);
        Assert.InRange(result.ServerTimeWaits, 1, Ports);
    }

    private static void AssertTypedAtTheDeadline(ChurnResult result, string type)
    {
        TestContext.Current.TestOutputHelper!.WriteLine($"{result}");

        // A slow machine's first ones may expire before the lack of ports is known.
        Assert.All(result.Failures.Keys, name => Assert.Contains(name, (string[])[nameof(RentTimeoutException), nameof(LocalPortsExhaustedException)]));
        Assert.InRange(result.Failures[type], result.Offered / 2, result.Offered);
        Assert.Equal(result.Offered, result.Succeeded + result.Failures.Values.Sum());

        // What the machine owed the load's own timer, it owed those of the waits, too.
        Assert.InRange(result.Latest, TimeSpan.Zero, ShortWait + TimeSpan.FromSeconds(5) + (3 * result.Lag));

        // A quarter of a core on an idle machine, server and load included; a loop of dials would take a whole one beside that.
        Assert.InRange(result.Cpu, TimeSpan.Zero, result.Took);

        // Meanwhile, not at the end: before that the sockets whose close waits for a token are waited for, and a minute may be over. Then
        // the kernel's TIME_WAITs are gone, and their tokens come back up to 5 s later.
        Assert.Equal(Share, result.MaxClientTimeWaits);
        Assert.InRange(result.ClientTimeWaits, 0, Share);
        Assert.Equal(0, result.UnderCounts);
        Assert.Empty(result.SysctlChanges);
    }

    public sealed class LightOnes
    {
        internal Task<ChurnResult> ClientFirstAsync { get; } = NetworkNamespace.RunAsync(ChurnClientFirstAsync, Settings);

        internal Task<ChurnResult> ClientFirstFewConnectionsAsync { get; } = NetworkNamespace.RunAsync(ChurnClientFirstFewConnectionsAsync, Settings);

        internal Task<ChurnResult> ServerNeverClosesAsync { get; } = NetworkNamespace.RunAsync(ChurnServerNeverClosesAsync, Settings);
    }
}
