using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>T6: a thousand callers find an empty pool of 100.</summary>
internal static class StormScenario
{
    public const int Callers = 1000;
    public const int Connections = 100;
    public const string Pooled = "PooledTcp";
    public const string PooledAnew = "PooledTcp, new client";
    public const string ByHand = "SemaphoreSlim + stack";

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        report.Title($"{Callers} rents at once on an empty pool of {Connections} (T6)");
        await CountDialsAsync(report, effort);
        await CountAndTimeAsync(report, effort, cancellationToken);
    }

    /// <summary>With dials of a fake connection, whose number at any moment is known exactly.</summary>
    private static async Task CountDialsAsync(Report report, Effort effort)
    {
        foreach (int maxConnecting in (int[])[4, Connections])
        {
            List<double> atOnce = [];
            for (int i = 0; i < effort.Pick(10, 5, 1); i++)
            {
                SlowConnector connector = new(TimeSpan.FromMilliseconds(5));
                await using PooledTcpClient client = NullClient.Create(
                    ["cache"],
                    endpoint =>
                    {
                        endpoint.MaxConnecting = maxConnecting;

                        // Not the same limit: that would keep MaxConnecting for it.
                        endpoint.MaxConnections = 2 * Connections;
                        endpoint.MaxWaiters = Callers;
                    },
                    connector);
                TcpPool pool = client.GetPool("cache");
                await PlayAsync(async () =>
                {
                    using TcpLease lease = await pool.RentAsync();
                    await Task.Yield();
                    lease.Complete();
                });
                atOnce.Add(connector.MostAtOnce);
            }

            report.NeverAbove($"T6.dials-{maxConnecting}", new Sample(atOnce), maxConnecting, "dials at a time", $"MaxConnecting {maxConnecting}");
        }
    }

    /// <summary>Over loopback, one exchange for each rent, every round on a new pool.</summary>
    private static async Task CountAndTimeAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        await using ServerProcess echo = await ServerProcess.StartAsync(ServerKind.Echo);
        await using ServerProcess bareHttp = await ServerProcess.StartAsync(ServerKind.BareHttp);
        IPEndPoint server = echo.EndPoint;
        Dictionary<string, Func<Task<Storm>>> contenders = PooledAndByHand(server, effort);
        contenders[PooledAnew] = () => PlayPooledAsync(server, effort, hasDialed: false);
        if (effort == Effort.Full)
        {
            contenders["SocketsHttpHandler, bare server"] = () => PlayHttpAsync(bareHttp.EndPoint);
            contenders["DotNetty FixedChannelPool"] = () => PlayDotNettyAsync(server);
            contenders["unbounded"] = () => PlayUnboundedAsync(server);
        }

        // Bytes and connections are counted, not timed: that needs no warm-up.
        int warmUps = effort.Pick(StormProcesses.Warm, 3, 3);
        Rounds<string, Storm> rounds = await PlayAsync(
            contenders, effort.Pick(31, 9, 2, check: 5), warmUps, new Neighbours(echo.Id, bareHttp.Id), cancellationToken);
        report.Count(rounds.Repeated, rounds.Disturbed);
        foreach (string name in contenders.Keys)
        {
            if (effort == Effort.Full)
            {
                report.Add("storm", name, Callers, "rents", $"x {ByHand}", rounds.Ratio(name, ByHand, static s => s.Milliseconds));
                report.Add("storm", name, Callers, "rents", "ms", rounds.Of(name, static s => s.Milliseconds));
            }

            report.Add("storm", name, Callers, "rents", "B/rent", rounds.Of(name, static s => s.BytesEach));
        }

        await StormProcesses.RunAsync(echo, report, effort, cancellationToken);
        report.AtMost("T6.bytes", rounds.Of(PooledAnew, static s => s.BytesEach), 1024, "B/rent", "dials included, in a new client");
        report.NeverAbove("T6.connections", rounds.Of(PooledAnew, static s => s.Connections), Connections, "connections", $"of {Connections} that are allowed");
        report.NeverAbove("T6.missing", rounds.Of(PooledAnew, static s => Math.Max(0, Connections - s.Connections)), 0, "connections", $"fewer than the {Connections} that {Callers} callers need");
        report.NeverAbove("T6.errors", rounds.Of(PooledAnew, static s => s.Errors), 0, "errors", $"of {Callers} rents");
    }

    public static Dictionary<string, Func<Task<Storm>>> PooledAndByHand(IPEndPoint server, Effort effort) => new(StringComparer.Ordinal)
    {
        [Pooled] = () => PlayPooledAsync(server, effort, hasDialed: true),
        [ByHand] = () => PlayByHandAsync(server),
    };

    /// <summary>In interleaved rounds.</summary>
    public static Task<Rounds<string, Storm>> PlayAsync(
        Dictionary<string, Func<Task<Storm>>> contenders, int rounds, int warmUps, Neighbours neighbours, CancellationToken cancellationToken) =>
        Rounds<string, Storm>.RunAsync(
            [.. contenders.Keys], rounds, warmUps, name => contenders[name](), static _ => Task.CompletedTask, neighbours, cancellationToken);

    /// <param name="server">An echo server.</param>
    /// <param name="effort">The check's callers have more patience.</param>
    /// <param name="hasDialed">The client has its threads, and knows the host's ports.</param>
    private static async Task<Storm> PlayPooledAsync(IPEndPoint server, Effort effort, bool hasDialed)
    {
        await using PooledTcpClient client = new(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = $"{server}";
            endpoint.MaxConnections = Connections;
            endpoint.MaxConnecting = Connections;
            endpoint.MaxWaiters = Callers;
            if (effort == Effort.Check)
            {
                // A machine that others use may stop for seconds, and that is no error of the pool.
                endpoint.RentTimeout = TimeSpan.FromMinutes(1);
                endpoint.ConnectTimeout = TimeSpan.FromMinutes(1);
            }
        }));
        TcpPool pool = client.GetPool("server");
        if (hasDialed)
        {
            await pool.WarmUpAsync(1);
            pool.Clear();
            while (pool.GetSnapshot() is not { Idle: 0, Closing: 0 })
            {
                await Task.Delay(1);
            }
        }

        int before = (int)pool.GetSnapshot().Created;
        Storm storm = await PlayAsync(async () =>
        {
            using TcpLease lease = await pool.RentAsync();
            await lease.SendAsync(Wire.Echo.Request);
            byte[] buffer = Buffer();
            for (int received = 0; received < buffer.Length;)
            {
                int count = await lease.ReceiveAsync(buffer.AsMemory(received));
                received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
            }

            lease.Complete();
        });
        return storm with { Connections = (int)pool.GetSnapshot().Created - before };
    }

    private static async Task<Storm> PlayByHandAsync(IPEndPoint server)
    {
        using SemaphoreStackPool<Socket> pool = new(Connections, () => new(SocketContender.ConnectAsync(server)));
        Storm storm = await PlayAsync(async () =>
        {
            Socket socket = await pool.RentAsync();
            await Wire.Echo.ExchangeAsync(socket, Buffer());
            pool.Return(socket);
        });

        // By RST: a hundred TIME_WAITs of each storm would be in the way of the next dials, ours and others'.
        for (int i = 0; i < Connections; i++)
        {
            (await pool.RentAsync()).Close(0);
        }

        return storm;
    }

    private static async Task<Storm> PlayUnboundedAsync(IPEndPoint server) => await PlayAsync(async () =>
    {
        using Socket socket = await SocketContender.ConnectAsync(server);
        await Wire.Echo.ExchangeAsync(socket, Buffer());

        // As above, of a thousand.
        socket.Close(0);
    });

    private static async Task<Storm> PlayHttpAsync(IPEndPoint server)
    {
        await using HttpContender http = new("http", server, Connections);
        return await PlayAsync(() => http.RequestAsync(Buffer()));
    }

    private static async Task<Storm> PlayDotNettyAsync(IPEndPoint server)
    {
        await using DotNettyContender dotNetty = new(server, Wire.Echo, Connections);
        dotNetty.OpenEmpty();
        return await PlayAsync(dotNetty.RequestAsync);
    }

    /// <summary>One for each caller, in every contender alike.</summary>
    private static byte[] Buffer() => new byte[Wire.PayloadLength];

    /// <summary>All callers stand ready before the clock runs and the heap is looked at.</summary>
    private static async Task<Storm> PlayAsync(Func<Task> request)
    {
        int errors = 0;
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task all = Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            await gate.Task;
            try
            {
                await request();
            }
            catch (Exception)
            {
                Interlocked.Increment(ref errors);
            }
        })));
        await Task.Delay(5);
        long bytes = GC.GetTotalAllocatedBytes(precise: true);
        long start = Stopwatch.GetTimestamp();
        gate.SetResult();
        await all;
        double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        return new Storm(milliseconds, (double)(GC.GetTotalAllocatedBytes(precise: true) - bytes) / Callers, errors, 0);
    }
}
