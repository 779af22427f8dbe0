using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.KernelTests.Ports;

public sealed class SockDiagTests
{
    private static readonly IPAddress Server = IPAddress.Parse(NamespaceSettings.Server);
    private static readonly AddressKey ServerKey = AddressKey.From(Server);

    public sealed record Comparison(List<string> Diag, List<string> Proc);

    public sealed record Counts(Dictionary<string, int> Values);

    public sealed record Cost(int TimeWaits, int Seen, double CpuMicroseconds, double MedianMicroseconds, long Bytes, double BestSockStatMicroseconds, int? SockStat);

    [Fact]
    public async Task Dump_sees_what_proc_net_tcp_sees()
    {
        Comparison seen = await NetworkNamespace.RunAsync(CompareAsync, NamespaceSettings.FullRange);

        Assert.Equal(seen.Proc, seen.Diag);

        // 3 listeners, 10 open connections of each kind with 2 ends each, and a TIME_WAIT per closed one.
        Assert.Equal(3, seen.Diag.Count(line => line.EndsWith(" Listen", StringComparison.Ordinal)));
        Assert.Equal(60, seen.Diag.Count(line => line.EndsWith(" Established", StringComparison.Ordinal)));
        Assert.Equal(15, seen.Diag.Count(line => line.EndsWith(" TimeWait", StringComparison.Ordinal)));
    }

    private static Task<Comparison> CompareAsync()
    {
        using var four = Peer.Start(5001);
        using var six = new Peer(IPAddress.IPv6Loopback, 5002);
        using var dual = new Peer(IPAddress.IPv6Any, 5003, dualMode: true);
        var open = new List<Pair>();
        for (int i = 0; i < 10; i++)
        {
            open.Add(four.Connect());
            open.Add(six.Connect());
            open.Add(dual.Connect(DualModeSocket(), new IPEndPoint(Server.MapToIPv6(), 5003)));
        }

        for (int i = 0; i < 8; i++)
        {
            four.Connect().CloseClientFirst();
        }

        for (int i = 0; i < 7; i++)
        {
            six.Connect().CloseServerFirst();
        }

        return Task.FromResult(new Comparison(DumpLines(TcpStates.All & ~TcpStates.BoundInactive), ProcNetTcp.Read()));
    }

    [Fact]
    public async Task Filters_count_time_waits_by_side_exactly()
    {
        Counts counts = await NetworkNamespace.RunAsync(CountBySideAsync, NamespaceSettings.FullRange);

        Assert.Equal(
            new Dictionary<string, int>
            {
                ["client, 5001"] = 9, // the source that the kernel picks, and the second
                ["client, 5001, from the second source"] = 4,
                ["server, 5001"] = 3,
                ["client, 5003, dual-mode and plain"] = 6,
                ["client, 5002, IPv6"] = 2,
                ["IPv4 table alone, 5003"] = 1,
                ["established to 5001"] = 1,
                ["any to 5001"] = 10,
                ["address that nobody has"] = 0,
            },
            counts.Values);
    }

    private static Task<Counts> CountBySideAsync()
    {
        using var four = Peer.Start(5001);
        using var six = new Peer(IPAddress.IPv6Loopback, 5002);
        using var dual = new Peer(IPAddress.IPv6Any, 5003, dualMode: true);
        AddressKey second = AddressKey.From(IPAddress.Parse(NamespaceSettings.Second));

        Pair open = four.Connect();
        Repeat(5, () => four.Connect().CloseClientFirst());
        Repeat(4, () => four.Connect(From(NamespaceSettings.Second)).CloseClientFirst());
        Repeat(3, () => four.Connect().CloseServerFirst());
        Repeat(2, () => six.Connect().CloseClientFirst());
        Repeat(5, () => dual.Connect(DualModeSocket(), new IPEndPoint(Server.MapToIPv6(), 5003)).CloseClientFirst());
        dual.Connect(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp), new IPEndPoint(Server, 5003)).CloseClientFirst();

        var to5001 = new SockDiagFilter { Remote = ServerKey, RemotePort = 5001 };
        var to5003 = new SockDiagFilter { Remote = ServerKey, RemotePort = 5003 };
        var result = new Dictionary<string, int>
        {
            ["client, 5001"] = Count(TcpStates.TimeWait, to5001),
            ["client, 5001, from the second source"] = Count(TcpStates.TimeWait, to5001 with { Local = second }),
            ["server, 5001"] = Count(TcpStates.TimeWait, new SockDiagFilter { Local = ServerKey, LocalPort = 5001 }),
            ["client, 5003, dual-mode and plain"] = Count(TcpStates.TimeWait, to5003),
            ["client, 5002, IPv6"] = Count(TcpStates.TimeWait, new SockDiagFilter { Remote = AddressKey.From(IPAddress.IPv6Loopback), RemotePort = 5002 }),
            ["IPv4 table alone, 5003"] = Count(AddressFamily.InterNetwork, TcpStates.TimeWait, to5003),
            ["established to 5001"] = Count(TcpStates.Established, to5001),
            ["any to 5001"] = Count(TcpStates.Connections, to5001),
            ["address that nobody has"] = Count(TcpStates.Connections, new SockDiagFilter { Remote = AddressKey.From(IPAddress.Parse("192.0.2.1")) }),
        };
        GC.KeepAlive(open);
        return Task.FromResult(new Counts(result));
    }

    [Fact]
    public async Task Look_up_finds_one_socket_and_its_timer()
    {
        Dictionary<string, string> found = await NetworkNamespace.RunAsync(LookUpAsync, NamespaceSettings.FullRange);

        Assert.Equal("Ok Established, no timer", found["established"]);
        Assert.Equal("Ok Established, no timer", found["dual-mode, by its IPv4 tuple"]);
        Assert.Equal("Ok Established, no timer", found["IPv6"]);
        Assert.Equal("Ok TimeWait, 10-60 s left, nobody's", found["TIME_WAIT"]);
        Assert.Equal("NotFound", found["none, though the local port is listened on"]);
        Assert.Equal("NotFound", found["none at all"]);
    }

    private static Task<Dictionary<string, string>> LookUpAsync()
    {
        using var four = Peer.Start(5001);
        using var six = new Peer(IPAddress.IPv6Loopback, 5002);
        using var dual = new Peer(IPAddress.IPv6Any, 5003, dualMode: true);
        Pair open = four.Connect();
        Pair openSix = six.Connect();
        Pair openDual = dual.Connect(DualModeSocket(), new IPEndPoint(Server.MapToIPv6(), 5003));
        Pair closed = four.Connect();
        int closedPort = closed.Local.Port;
        closed.CloseClientFirst();
        AddressKey loopback = AddressKey.From(IPAddress.IPv6Loopback);

        var result = new Dictionary<string, string>
        {
            ["established"] = Find(ServerKey, open.Local.Port, ServerKey, 5001),
            ["dual-mode, by its IPv4 tuple"] = Find(ServerKey, openDual.Local.Port, ServerKey, 5003),
            ["IPv6"] = Find(loopback, openSix.Local.Port, loopback, 5002),
            ["TIME_WAIT"] = Find(ServerKey, closedPort, ServerKey, 5001),
            ["none, though the local port is listened on"] = Find(ServerKey, 5001, ServerKey, 9),
            ["none at all"] = Find(ServerKey, 9, ServerKey, 5001),
        };
        GC.KeepAlive((open, openSix, openDual));
        return Task.FromResult(result);
    }

    [Fact]
    public async Task A_census_allocates_nothing_per_socket()
    {
        List<Cost> costs = await NetworkNamespace.RunAsync(MeasureAsync, NamespaceSettings.FullRange.With("tcp_max_tw_buckets", "65536"));

        foreach (Cost cost in costs)
        {
            TestContext.Current.TestOutputHelper!.WriteLine(cost.ToString());
            Assert.Equal(cost.TimeWaits, cost.Seen);
            Assert.Equal(cost.TimeWaits, cost.SockStat);
            Assert.InRange(cost.Bytes, 0, 1024);
        }
    }

    private static Task<List<Cost>> MeasureAsync()
    {
        using var peer = Peer.Start(5001);
        var costs = new List<Cost>();
        int closed = 0;

        // Few enough that a slow machine has made them all before the first one's minute is over.
        foreach (int target in new[] { 0, 3_000, 9_000 })
        {
            for (; closed < target; closed++)
            {
                peer.Connect(WithRange(32768, 60999)).CloseClientFirst();
            }

            costs.Add(Measure(target));
        }

        return Task.FromResult(costs);
    }

    private static Cost Measure(int timeWaits)
    {
        var filter = new SockDiagFilter { Remote = ServerKey, RemotePort = 5001 };
        int seen = Count(TcpStates.TimeWait, filter);
        _ = SockStat.ReadTimeWaits();
        const int Rounds = 50;
        var times = new List<double>();
        var statTimes = new List<double>();
        long before = GC.GetAllocatedBytesForCurrentThread();

        // Beside the time on the wall: a busy machine does not stretch it.
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        for (int i = 0; i < Rounds; i++)
        {
            _ = Count(TcpStates.TimeWait, filter);
        }

        cpu = Environment.CpuUsage.TotalTime - cpu;
        long bytes = (GC.GetAllocatedBytesForCurrentThread() - before) / Rounds;
        for (int i = 0; i < Rounds; i++)
        {
            long start = System.Diagnostics.Stopwatch.GetTimestamp();
            _ = Count(TcpStates.TimeWait, filter);
            times.Add(System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            start = System.Diagnostics.Stopwatch.GetTimestamp();
            _ = SockStat.ReadTimeWaits();
            statTimes.Add(System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        return new Cost(timeWaits, seen, cpu.TotalMicroseconds / Rounds, Median(times), bytes, statTimes.Min(), SockStat.ReadTimeWaits());
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static string Find(AddressKey local, int localPort, AddressKey remote, int remotePort)
    {
        SockDiagResult result = SockDiag.Find(local, localPort, remote, remotePort, out SockDiagSocket socket);
        return !result.IsOk ? result.Status.ToString()
            : socket.TimeWaitLeft is TimeSpan left
                ? $"Ok {socket.State}, {(left.TotalSeconds is > 10 and <= 60.1 ? "10-60 s" : left.ToString())} left, {(socket.Inode == 0 ? "nobody's" : "somebody's")}"
                : $"Ok {socket.State}, no timer{(socket.Inode == 0 ? ", nobody's" : "")}";
    }

    private static int Count(TcpStates states, in SockDiagFilter filter)
    {
        var counter = default(Counter);
        SockDiagResult result = SockDiag.Dump(states, filter, ref counter);
        return result.IsOk ? counter.Count : throw new InvalidOperationException(result.ToString());
    }

    private static int Count(AddressFamily family, TcpStates states, in SockDiagFilter filter)
    {
        var counter = default(Counter);
        SockDiagResult result = SockDiag.Dump(family, states, filter, ref counter);
        return result.IsOk ? counter.Count : throw new InvalidOperationException(result.ToString());
    }

    private static List<string> DumpLines(TcpStates states)
    {
        var lines = new Lines([]);
        SockDiagResult result = SockDiag.Dump(states, default, ref lines);
        lines.All.Sort(StringComparer.Ordinal);
        return result.IsOk ? lines.All : throw new InvalidOperationException(result.ToString());
    }

    private static void Repeat(int times, Action action)
    {
        for (int i = 0; i < times; i++)
        {
            action();
        }
    }

    private static Socket DualModeSocket() => new(SocketType.Stream, ProtocolType.Tcp) { DualMode = true };

    private static Socket From(string source)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        PortSocketOptions.SetBindAddressNoPort(socket);
        socket.Bind(new IPEndPoint(IPAddress.Parse(source), 0));
        return socket;
    }

    private static Socket WithRange(int first, int last)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        PortSocketOptions.SetPortRange(socket, new PortRange(first, last));
        return socket;
    }

    private struct Counter : ISockDiagVisitor
    {
        public int Count { get; private set; }

        public void Visit(SockDiagEntry entry) => Count++;
    }

    private readonly struct Lines(List<string> all) : ISockDiagVisitor
    {
        public List<string> All { get; } = all;

        public void Visit(SockDiagEntry entry) =>
            All.Add(ProcNetTcp.Describe(entry.Local, entry.LocalPort, entry.Remote, entry.RemotePort, entry.State));
    }
}
