using System.Collections.Concurrent;
using System.Diagnostics;

namespace PooledTcp.KernelTests.Outage;

/// <summary>Every exchange closes its connection (MaxUses 1), and the kernel is asked ten times a second who holds TIME_WAIT.</summary>
internal static class Churn
{
    public const int PerSecond = 2000;

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    public static async Task<ChurnResult> RunAsync(Action<TcpEndpointOptions> configure, TimeSpan length, int perSecond = PerSecond)
    {
        Dictionary<string, string> sysctls = Sysctls.Read();
        int openBefore = Sockets.Open();
        using SmallServer server = SmallServer.Start();
        int port = server.EndPoint.Port;
        await WarmUpAsync();
        var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = $"{server.EndPoint}";
            endpoint.MaxUses = 1;

            // Whoever comes while the machine is behind waits: a full queue would hide what this is about.
            endpoint.MaxWaiters = 1_000_000;
            configure(endpoint);
        }));
        TcpPool pool = client.GetPool("server");

        var latencies = new ConcurrentBag<double>();
        var failures = new ConcurrentBag<Exception>();
        long latest = 0;
        int maxTimeWaits = 0, underCounts = 0, looks = 0;
        using var over = new ManualResetEventSlim();
        var looker = new Thread(Look) { IsBackground = true };
        looker.Start();

        long start = Stopwatch.GetTimestamp();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        TimeSpan lag = await PacedLoad.RunAsync(perSecond, length, RequestAsync);
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        cpu = Environment.CpuUsage.TotalTime - cpu;

        await client.DisposeAsync();
        over.Set();
        looker.Join();
        int left = await Sockets.OpenInTheEndAsync(openBefore) - openBefore;
        TcpPoolSnapshot end = pool.GetSnapshot();
        double[] sorted = [.. latencies.Order()];
        return new ChurnResult
        {
            Offered = latencies.Count + failures.Count,
            Succeeded = latencies.Count,
            Failures = failures.CountBy(e => e.GetType().Name).ToDictionary(),
            Texts = [.. failures.DistinctBy(e => e.GetType()).Select(e => e.ToString())],
            Took = took,
            Lag = lag,
            Cpu = cpu,
            Latest = TimeSpan.FromTicks(latest),
            P99Microseconds = sorted.Length > 0 ? sorted[(int)(0.99 * (sorted.Length - 1))] : 0,
            Looks = looks,
            MaxClientTimeWaits = maxTimeWaits,
            ClientTimeWaits = Sockets.ClientTimeWaits(port),
            ServerTimeWaits = Sockets.ServerTimeWaits(port),
            Owed = end.TimeWaitOwed,
            UnderCounts = underCounts,
            Created = end.Created,
            DialsFailed = end.DialsFailed,
            ClosedByMethod = end.ClosedByMethod.ToDictionary(),
            ClosedByPeer = end.ClosedByPeer,
            LeftOpen = left,
            SysctlChanges = Sysctls.ChangesSince(sysctls),
        };

        async Task RequestAsync()
        {
            long begin = Stopwatch.GetTimestamp();
            try
            {
                await ExchangeAsync(pool);
                latencies.Add(Stopwatch.GetElapsedTime(begin).TotalMicroseconds);
            }
            catch (Exception e)
            {
                failures.Add(e);
            }

            long kept = Stopwatch.GetElapsedTime(begin).Ticks;
            for (long seen = Volatile.Read(ref latest); kept > seen; seen = Volatile.Read(ref latest))
            {
                Interlocked.CompareExchange(ref latest, kept, seen);
            }
        }

        void Look()
        {
            do
            {
                int timeWaits = Sockets.ClientTimeWaits(port);
                maxTimeWaits = Math.Max(maxTimeWaits, timeWaits);

                // Read after the kernel's: what the ledger learns in between can only add to it. One that has just begun
                // may be a moment ahead of the ledger, but never more of them than are closing.
                TcpPoolSnapshot snapshot = pool.GetSnapshot();
                underCounts += timeWaits > snapshot.TimeWaitOwed + snapshot.Closing ? 1 : 0;
                looks++;
            }
            while (!over.Wait(LookEvery));
        }
    }

    /// <summary>
    /// What a cold process takes for its first rents is not what is asked, and would be more than the wait of some on a slow
    /// machine. To a destination of their own, and without a TIME_WAIT: the account of the other one stays empty.
    /// </summary>
    private static async Task WarmUpAsync()
    {
        using SmallServer server = SmallServer.Start(5003);
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("warm", endpoint =>
        {
            endpoint.Address = $"{server.EndPoint}";
            endpoint.MaxUses = 1;
            endpoint.RentTimeout = TimeSpan.FromMinutes(1);
            endpoint.ConnectTimeout = TimeSpan.FromMinutes(1);
            endpoint.Ports.TimeWaitShare = 0;
        }));
        for (int i = 0; i < 20; i++)
        {
            await ExchangeAsync(client.GetPool("warm"));
        }
    }

    /// <summary>One request and its reply.</summary>
    public static async Task ExchangeAsync(TcpPool pool)
    {
        await using TcpLease lease = await pool.RentAsync();
        byte[] buffer = [SmallServer.Request];
        await lease.SendAsync(buffer);
        if (await lease.ReceiveAsync(buffer) != 1)
        {
            throw new EndOfStreamException("The server closed before it had answered.");
        }

        lease.Complete();
    }
}
