using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using PooledTcp.Ports;

namespace PooledTcp.KernelTests.SeedQuestion;

/// <summary>400 requests at 200 a second, each on a connection of its own, through 64 ports: six times what they carry in a minute.</summary>
internal static class Churn
{
    public const int Offered = 400;

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(5);
    private static readonly byte[] Request = "PING"u8.ToArray();

    /// <summary>A connection per request, closed first by the client. <paramref name="beforeClose"/> is the cure that is tried.</summary>
    public static async Task<ChurnResult> ByHandAsync(Action<Socket>? beforeClose = null, string address = NamespaceSettings.Server)
    {
        using var server = ChurnServer.Start(address);
        var destination = new IPEndPoint(IPAddress.Parse(address), ChurnServer.Port);
        return await RunAsync(server, destination.Address, async () =>
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(destination);
            await socket.SendAsync(Request);
            byte[] reply = new byte[4];
            for (int length = 0; length < reply.Length;)
            {
                length += await socket.ReceiveAsync(reply.AsMemory(length));
            }

            beforeClose?.Invoke(socket);
        });
    }

    /// <summary>The same through a pool.</summary>
    public static async Task<ChurnResult> ByPoolAsync(Action<TcpEndpointOptions> configure)
    {
        using var server = ChurnServer.Start();
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("peer", endpoint =>
        {
            endpoint.Address = $"{NamespaceSettings.Server}:{ChurnServer.Port}";

            // Ten cold processes on two cores: that one was slow is not what is asked.
            endpoint.RentTimeout = endpoint.ConnectTimeout = endpoint.Shutdown.GoodbyeTimeout = endpoint.Shutdown.DrainTimeout = TimeSpan.FromMinutes(1);
            configure(endpoint);
        }));
        TcpPool pool = client.GetPool("peer");
        return await RunAsync(server, IPAddress.Parse(NamespaceSettings.Server), async () =>
        {
            await using TcpLease lease = await pool.RentAsync();
            await lease.SendAsync(Request);
            byte[] reply = new byte[4];
            for (int length = 0; length < reply.Length;)
            {
                length += await lease.ReceiveAsync(reply.AsMemory(length));
            }

            lease.Complete();
        }, client);
    }

    private static async Task<ChurnResult> RunAsync(ChurnServer server, IPAddress address, Func<Task> request, PooledTcpClient? client = null)
    {
        long overflows = ReadOverflows();
        var errors = new Dictionary<int, int>();
        int ok = 0;
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Offered; i++)
        {
            while (Stopwatch.GetElapsedTime(start) < Pace * i)
            {
                await Task.Delay(1);
            }

            try
            {
                await request();
                ok++;
            }
            catch (SocketException e)
            {
                errors[e.NativeErrorCode] = errors.GetValueOrDefault(e.NativeErrorCode) + 1;
            }
            catch (PooledTcpException)
            {
                errors[0] = errors.GetValueOrDefault(0) + 1;
            }
        }

        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;

        // A bystander's closes, before ours at the end: he has nothing to do with our destination.
        int bystander = CloseAsBystander();
        if (client is not null)
        {
            await client.DisposeAsync();
        }

        await server.FinishAsync();
        AddressKey key = AddressKey.From(address);
        return new ChurnResult(
            Offered,
            ok,
            errors,
            seconds,
            server.Ends,
            server.Resets,
            CountTimeWaits(new SockDiagFilter { Remote = key, RemotePort = ChurnServer.Port }),
            CountTimeWaits(new SockDiagFilter { Local = key, LocalPort = ChurnServer.Port }),
            ReadOverflows() - overflows,
            bystander);
    }

    /// <summary>Ten connections of somebody else, closed first by their server, from ports outside the range.</summary>
    private static int CloseAsBystander()
    {
        const int Port = 5002;
        using var peer = Peer.Start(Port, NamespaceSettings.Second);
        for (int i = 0; i < 10; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(NamespaceSettings.Second), 6000 + i));
            peer.Connect(socket).CloseServerFirst();
        }

        return CountTimeWaits(new SockDiagFilter { LocalPort = Port });
    }

    private static int CountTimeWaits(in SockDiagFilter filter)
    {
        var counter = default(Counter);
        SockDiagResult result = SockDiag.Dump(TcpStates.TimeWait, filter, ref counter);
        return result.IsOk ? counter.Count : throw new InvalidOperationException($"{result}");
    }

    /// <summary>From two lines, names and values: <c>TcpExt: SyncookiesSent ...</c>.</summary>
    private static long ReadOverflows()
    {
        string[][] lines =
            [.. File.ReadLines("/proc/net/netstat").Where(static line => line.StartsWith("TcpExt:", StringComparison.Ordinal)).Select(static line => line.Split(' '))];
        return long.Parse(lines[1][Array.IndexOf(lines[0], "TCPTimeWaitOverflow")], System.Globalization.CultureInfo.InvariantCulture);
    }

    private struct Counter : ISockDiagVisitor
    {
        public int Count { get; private set; }

        public void Visit(SockDiagEntry entry) => Count++;
    }
}
