using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>Peers that close idle connections, seen through the front door on real sockets.</summary>
public sealed class PeerCloseTests(ITestOutputHelper output)
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static bool IsLinux => OperatingSystem.IsLinux();

    [Fact(Timeout = Limit, Skip = "epoll is Linux'", SkipUnless = nameof(IsLinux))]
    public async Task A_thousand_connections_closed_by_their_peer_at_once_are_closed_before_anybody_asks()
    {
        await using Server server = new();
        await using PooledTcpClient client = server.NewClient(connections: 1000);
        TcpPool pool = client.GetPool(server.EndPoint);
        await pool.WarmUpAsync(1000, Token);
        Socket[] accepted = await server.TakeAsync(1000);

        long start = Stopwatch.GetTimestamp();
        Array.ForEach(accepted, static s => s.Dispose());
        TimeSpan closing = Stopwatch.GetElapsedTime(start);
        await Eventually.TrueAsync(() => pool.GetSnapshot().Closed == 1000, () => pool.GetSnapshot().ToString());
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        output.WriteLine($"The peer took {closing.TotalMilliseconds:0} ms to close 1,000, the pool was done after {took.TotalMilliseconds:0} ms.");

        TcpPoolSnapshot now = pool.GetSnapshot();
        Assert.Equal((0, 0, 1000), (now.Idle, now.Used, now.ClosedByPeer));
        Assert.Equal(1000, now.ClosedByReason["peer_closed"]);
        Assert.Equal(0, KernelSockets.CountTo(server.EndPoint.Port));

        // 0.5 s is the promise; the rest is for a machine that builds something else meanwhile.
        Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(3));
    }

    [Fact(Timeout = Limit, Skip = "epoll is Linux'", SkipUnless = nameof(IsLinux))]
    public async Task The_watchers_thread_uses_no_processor_while_nothing_happens_and_ends_with_the_client()
    {
        await using Server server = new();
        PooledTcpClient client = server.NewClient(connections: 10);
        TcpPool pool = client.GetPool(server.EndPoint);
        HashSet<string> others = [.. WatcherThreads()];
        await pool.WarmUpAsync(10, Token);
        string thread = Assert.Single(WatcherThreads().Except(others));

        long before = TicksOf(thread);
        for (int i = 0; i < 1000; i++)
        {
            await using TcpLease lease = await pool.RentAsync(Token);
            lease.Complete();
        }

        await Task.Delay(300, Token);
        Assert.InRange(TicksOf(thread) - before, 0, 1);

        await client.DisposeAsync();
        await Eventually.TrueAsync(() => !Directory.Exists(thread), () => "The thread lives on.");
    }

    [Fact(Timeout = Limit)]
    public async Task A_rent_right_after_the_peers_close_gets_a_live_connection_every_time()
    {
        await using Server server = new();
        await using PooledTcpClient client = server.NewClient(connections: 4);
        TcpPool pool = client.GetPool(server.EndPoint);
        await pool.WarmUpAsync(1, Token);
        for (int round = 0; round < 300; round++)
        {
            Socket peer = (await server.TakeAsync(1))[0];
            peer.Dispose();
            if (round % 3 == 1)
            {
                await Task.Yield();
            }
            else if (round % 3 == 2)
            {
                await Task.Delay(1, Token);
            }

            await using TcpLease lease = await pool.RentAsync(Token);
            Assert.False(lease.PeerClosed);
            Assert.False(lease.IsReused);
            lease.Complete();
        }

        await Eventually.TrueAsync(() => pool.GetSnapshot().Closed == 300, () => pool.GetSnapshot().ToString());
        Assert.Equal(300, pool.GetSnapshot().ClosedByReason["peer_closed"]);
    }

    /// <summary>The threads of that name, as directories of the kernel.</summary>
    private static IEnumerable<string> WatcherThreads() => Directory.EnumerateDirectories("/proc/self/task")
        .Select(static task => Path.Combine("/proc/self/task", Path.GetFileName(task)))
        .Where(static task => File.ReadAllText(Path.Combine(task, "comm")).StartsWith("PooledTcp peer", StringComparison.Ordinal));

    /// <summary>User and system time, in hundredths of a second.</summary>
    private static long TicksOf(string task)
    {
        string[] fields = File.ReadAllText(Path.Combine(task, "stat")).Split(") ")[1].Split(' ');
        return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
    }

    private sealed class Server : IAsyncDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        public Server()
        {
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listener.Listen(2000);
        }

        public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndPoint!;

        public PooledTcpClient NewClient(int connections)
        {
            PooledTcpOptions options = new();
            options.Defaults.MaxConnections = connections;
            options.Defaults.MaxConnecting = 16;
            return new PooledTcpClient(options);
        }

        public async Task<Socket[]> TakeAsync(int count)
        {
            Socket[] taken = new Socket[count];
            for (int i = 0; i < count; i++)
            {
                taken[i] = await _listener.AcceptAsync(Token);
            }

            return taken;
        }

        public ValueTask DisposeAsync()
        {
            _listener.Dispose();
            return default;
        }
    }
}
