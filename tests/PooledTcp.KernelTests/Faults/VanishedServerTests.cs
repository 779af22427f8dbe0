using System.Diagnostics;
using System.Globalization;
using System.Net;
using PooledTcp.IntegrationTests.Faults;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.KernelTests.Harness;
using PooledTcp.Ports;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.KernelTests.Faults;

/// <summary>
/// The network swallows every segment to and from the server, and later lets them through again. Unlike a proxy that stalls,
/// nothing is acknowledged here: neither a request nor a FIN nor an RST.
/// </summary>
public sealed class VanishedServerTests(ITestOutputHelper output)
{
    private const int Connections = 8;

    private static readonly TimeSpan Window = TimeSpan.FromMilliseconds(600);
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromMilliseconds(300);

    [Fact]
    public Task While_connections_lie_idle() => PlayAsync(IdleAsync);

    [Fact]
    public Task While_dialing() => PlayAsync(DialingAsync);

    [Fact]
    public Task In_the_middle_of_handshakes() => PlayAsync(HandshakeAsync);

    [Fact]
    public Task In_the_middle_of_requests() => PlayAsync(RequestAsync);

    [Fact]
    public Task While_connections_are_closed() => PlayAsync(ClosingAsync);

    private static Task<string> IdleAsync() => StageAsync(static async (_, load, drop) =>
    {
        await load.WarmUpAsync(Connections, CancellationToken.None);
        await drop();
    });

    private static Task<string> DialingAsync() => StageAsync(static (_, _, drop) => drop());

    private static Task<string> HandshakeAsync()
    {
        var greeting = new Greeting();
        return StageAsync(
            async (_, load, drop) =>
            {
                greeting.Drop = drop;
                Task callers = load.RunAsync(Window);
                await greeting.Dropped;
                await callers;
            },
            endpoint => endpoint.Handshake = greeting);
    }

    private static Task<string> RequestAsync() => StageAsync(static async (_, load, drop) =>
    {
        Task callers = load.RunAsync(Window);
        await Task.Delay(Window / 2);
        await drop();
        await callers;
    });

    private static Task<string> ClosingAsync() => StageAsync(static async (pool, load, drop) =>
    {
        await load.WarmUpAsync(Connections, CancellationToken.None);
        await drop();
        pool.Clear();
    });

    /// <summary>What is told of the run; any broken promise is an exception, which the test shows.</summary>
    private static async Task<string> StageAsync(Func<TcpPool, FaultLoad, Func<Task>, Task> begin, Action<TcpEndpointOptions>? configure = null)
    {
        await using var server = new SlowServer(TimeSpan.FromMilliseconds(5));
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = server.Address;
            endpoint.MaxConnections = Connections;
            endpoint.ConnectTimeout = TimeSpan.FromMilliseconds(500);
            endpoint.Health.MaxBackoff = TimeSpan.FromMilliseconds(200);
            endpoint.Shutdown.DrainTimeout = DrainTimeout;
            configure?.Invoke(endpoint);
        }));
        TcpPool pool = client.GetPool("server");
        using var machine = new MachineDelay();
        var audit = new DeadlineAudit(machine);
        var load = new FaultLoad(pool, audit);

        await begin(pool, load, () => PacketDrop.StartAsync(server.Port));
        long vanished = Stopwatch.GetTimestamp();
        await load.RunAsync(Window);
        string during = load.ToString();
        await CountsMatchAsync(pool, server.Port);

        // The kernel goes on with what we closed until the user timeout that the close had set: its port is ours till then.
        await KernelView.UntilAsync(() => CountEnding(server.Port) == 0, "no port is held by a close that nobody answers");
        TimeSpan freed = Stopwatch.GetElapsedTime(vanished);
        await PacketDrop.StopAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        TimeSpan served = await load.UntilServedAsync(patience.Token);
        await CountsMatchAsync(pool, server.Port);

        DeadlineAudit.Lateness lateness = audit.Judge();
        Assert.Empty(load.Faults);
        lateness.AssertMet();
        string reasons = string.Join(", ", pool.GetSnapshot().ClosedByReason.Concat(pool.GetSnapshot().ClosedByMethod).Select(static why => $"{why.Key} {why.Value}"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{during}; {lateness}; ports free {freed.TotalMilliseconds:F0} ms after it vanished; served {served.TotalMilliseconds:F0} ms after it was back; closed {reasons}");
    }

    private static async Task CountsMatchAsync(TcpPool pool, int port)
    {
        await KernelView.UntilAsync(() => pool.GetSnapshot() is { Used: 0, Connecting: 0, Closing: 0, Waiting: 0 }, $"nothing is under way: {pool.GetSnapshot()}");
        await KernelView.UntilAsync(() => ProcessSockets.CountTo(port) == pool.GetSnapshot().Idle, "the kernel lists as many sockets as the pool");
        Assert.Equal(pool.GetSnapshot().Created, pool.GetSnapshot().Closed + pool.GetSnapshot().Idle);
    }

    /// <summary>Client ends that the pool has closed and the kernel has not ended; TIME_WAIT is not one of them.</summary>
    private static int CountEnding(int port)
    {
        var counter = new Counter();
        SockDiag.Dump(
            TcpStates.FinWait1 | TcpStates.FinWait2 | TcpStates.LastAck | TcpStates.Closing,
            new SockDiagFilter { Remote = AddressKey.From(IPAddress.Loopback), RemotePort = port },
            ref counter);
        return counter.Count;
    }

    private async Task PlayAsync(Func<Task<string>> scenario)
    {
        string? obstacle = await NetworkNamespace.RunAsync(PacketDrop.FindObstacleAsync, NamespaceSettings.FullRange);
        Assert.SkipWhen(obstacle is not null, $"No packets can be dropped: {obstacle}");
        output.WriteLine(await NetworkNamespace.RunAsync(scenario, NamespaceSettings.FullRange));
    }

    /// <summary>An exchange on a new connection; before the first one is sent, the server vanishes.</summary>
    private sealed class Greeting : ITcpHandshake
    {
        private readonly TaskCompletionSource<Task> _dropped = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _begun;

        public Func<Task>? Drop { get; set; }

        public Task Dropped => _dropped.Task.Unwrap();

        public async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
        {
            if (Interlocked.Exchange(ref _begun, 1) == 0)
            {
                Task drop = Drop!();
                _dropped.SetResult(drop);
                await drop;
            }

            // The others that were under way may still have got through.
            await connection.SendAsync(RespReply.Command("ECHO", "hello"), cancellationToken);
            RespReply reply = await new RespReader(connection.ReceiveAsync).ReadAsync(cancellationToken);
            return reply.Text == "hello" ? null : throw new InvalidDataException($"Greeted with {reply.Text}");
        }
    }

    private struct Counter : ISockDiagVisitor
    {
        public int Count { get; private set; }

        public void Visit(SockDiagEntry entry) => Count++;
    }
}
