using System.Diagnostics;
using PooledTcp.KernelTests.Harness;
using PooledTcp.Ports;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>Closes connections to one server in every way, side by side: each way has local ports of its own, by which the kernel's entries are told apart.</summary>
internal static class ClosingScenario<TServer>
    where TServer : RealServer, new()
{
    private const int FirstLocalPort = 40_000;
    private const int PortsPerRow = 100;
    private const int OrdinaryPort = 5001;
    private const int IdlingPort = 5002;

    // So that a machine that is busy for seconds does not spoil the exchanges (seen with 3 s: vsftpd's 421 in place of a reply).
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static NamespaceSettings Settings { get; } = NamespaceSettings.FullRange.With("tcp_tw_reuse", "0");

    public static async Task<ClosingRow[]> PlayAsync()
    {
        var server = new TServer();
        List<IAsyncDisposable> running = [];
        try
        {
            running.Add(await server.StartAsync(NamespaceSettings.Server, OrdinaryPort, idleTimeout: null));
            if (server.IdleClose != IdleClose.None)
            {
                running.Add(await server.StartAsync(NamespaceSettings.Server, IdlingPort, IdleTimeout));
            }

            return await Task.WhenAll(ClosingRow.Of(server).Select((row, i) => MeasureAsync(server, row, FirstLocalPort + (i * PortsPerRow))));
        }
        finally
        {
            foreach (IAsyncDisposable one in running)
            {
                await one.DisposeAsync();
            }
        }
    }

    private static async Task<ClosingRow> MeasureAsync(TServer server, ClosingRow row, int firstPort)
    {
        int serverPort = row.IdleClose != IdleClose.None ? IdlingPort : OrdinaryPort;

        // The default share is a quarter of the ports.
        int lastPort = firstPort + (row.Share * 4) - 1;
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = $"{NamespaceSettings.Server}:{serverPort}";
            endpoint.Handshake = server;
            endpoint.MaxConnections = ClosingRow.Connections;
            endpoint.MaxUses = 1;
            endpoint.RentTimeout = Patience;
            endpoint.ConnectTimeout = Patience;
            endpoint.Ports.Range = $"{firstPort}-{lastPort}";
            endpoint.Shutdown.ClosesFirst = row.ClosesFirst;
            endpoint.Shutdown.Goodbye = row.HasGoodbye ? server.Goodbye : null;
            endpoint.Shutdown.GoodbyeTimeout = Patience;
            endpoint.Shutdown.DrainTimeout = Patience;
            endpoint.Shutdown.ServerCloseTimeout = row.IdleClose != IdleClose.None ? Patience : TimeSpan.FromSeconds(1);
        }));
        TcpPool pool = client.GetPool("server");

        // All open before the first one closes: no port is used twice, and each one counts once.
        List<TcpLease> leases = [];
        while (leases.Count < ClosingRow.Connections)
        {
            leases.Add(await pool.RentAsync(CancellationToken.None));
            await server.ExchangeAsync(leases[^1].Stream, CancellationToken.None);
        }

        foreach (TcpLease lease in leases)
        {
            lease.Complete();
            await lease.DisposeAsync();
        }

        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            TcpPoolSnapshot snapshot = pool.GetSnapshot();
            Sides sides = Count(serverPort, firstPort, lastPort);
            if (snapshot.Closed == ClosingRow.Connections && snapshot.Closing == 0 && sides.Live == 0)
            {
                return row with
                {
                    ByMethod = snapshot.ClosedByMethod,
                    ClosedByPeer = snapshot.ClosedByPeer,
                    ClientTimeWait = sides.ClientTimeWait,
                    ServerTimeWait = sides.ServerTimeWait,
                };
            }

            if (Stopwatch.GetElapsedTime(start) > Patience)
            {
                throw new TimeoutException($"{server.Name}, {row}: {sides.Live} ends live still; {snapshot}");
            }

            await Task.Delay(20);
        }
    }

    private static Sides Count(int serverPort, int firstPort, int lastPort)
    {
        var sides = new Sides(serverPort, firstPort, lastPort);
        SockDiagResult result = SockDiag.Dump(TcpStates.Connections, default, ref sides);
        return result.IsOk ? sides : throw new InvalidOperationException($"sock_diag: {result}");
    }

    private struct Sides(int serverPort, int firstPort, int lastPort) : ISockDiagVisitor
    {
        public int ClientTimeWait { get; private set; }

        public int ServerTimeWait { get; private set; }

        public int Live { get; private set; }

        public void Visit(SockDiagEntry entry)
        {
            bool client = entry.RemotePort == serverPort && entry.LocalPort >= firstPort && entry.LocalPort <= lastPort;
            bool server = entry.LocalPort == serverPort && entry.RemotePort >= firstPort && entry.RemotePort <= lastPort;
            bool over = entry.State == TcpStates.TimeWait;
            ClientTimeWait += client && over ? 1 : 0;
            ServerTimeWait += server && over ? 1 : 0;
            Live += (client || server) && !over ? 1 : 0;
        }
    }
}
