using System.Collections.Concurrent;
using System.Diagnostics;
using PooledTcp.TestSupport;

namespace PooledTcp.Soak;

/// <summary>
/// Two legs of the same load, each followed by a look at what is left when nothing is under way. The first one warms up:
/// code is compiled, pools of objects fill, and in a long run the ledger of ports reaches its 65 seconds.
/// </summary>
internal static class SoakRun
{
    // Of 1.4 MB in use. What is cached (waiters, contexts, TLS sessions) varies by some hundred KB; a leak of one small
    // object per call would be tens of MB in a minute.
    private const long AllowedGrowth = 2 * 1024 * 1024;

    private static readonly TimeSpan LongestWarmUp = TimeSpan.FromSeconds(120);

    // Time-outs, drains and closes under way end long before.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public static async Task<SoakReport> RunAsync(SoakPlan plan, CancellationToken cancellationToken)
    {
        var complaints = new ConcurrentQueue<string>();
        TaskScheduler.UnobservedTaskException += (_, e) => complaints.Enqueue($"Unobserved: {e.Exception}");
        var watch = Stopwatch.StartNew();
        await using var server = new SoakServer(plan.Garnet);
        await server.StartAsync(cancellationToken);
        int socketsBefore = ProcessSockets.CountAll();
        await using var stage = new SoakStage(server);
        var load = new SoakLoad(stage.Pools, plan);
        var trouble = new SoakTrouble(stage, server, plan);
        TimeSpan warmUp = plan.Time / 4 < LongestWarmUp ? plan.Time / 4 : LongestWarmUp;

        await LegAsync(warmUp, 0);
        long memoryStart = await MeasureMemoryAsync();
        await LegAsync(plan.Time - warmUp, 1);
        long retries = stage.Pools.Sum(static pool => pool.GetSnapshot().Retries);
        long opened = stage.Pools.Sum(static pool => pool.GetSnapshot().Created);
        long memoryEnd = await MeasureMemoryAsync();

        await stage.DisposeAsync();
        int leaked = 0;
        await EventuallyAsync(() => (leaked = Math.Max(ProcessSockets.CountAll() - socketsBefore, stage.Ports.Sum(ProcessSockets.CountTo))) == 0);
        foreach (string complaint in load.Complaints)
        {
            complaints.Enqueue(complaint);
        }

        if (leaked > 0)
        {
            complaints.Enqueue($"{leaked} sockets are open that nobody has.");
        }

        if (memoryEnd - memoryStart > AllowedGrowth)
        {
            complaints.Enqueue($"The heap grew from {memoryStart:N0} to {memoryEnd:N0} bytes.");
        }

        long requests = Enum.GetValues<CallOutcome>().Sum(outcome => load[outcome]);
        return new SoakReport
        {
            Figures = new SoakFigures(
                Requests: requests,
                Ok: load[CallOutcome.Ok],
                FailedTyped: requests - load[CallOutcome.Ok] - load[CallOutcome.Wrong] - load[CallOutcome.Untyped],
                WrongReplies: load[CallOutcome.Wrong],
                LeakedSockets: Math.Max(0, leaked),
                MemoryStart: memoryStart,
                MemoryEnd: memoryEnd),
            Took = watch.Elapsed,
            Server = server.Name,
            Seed = plan.Seed,
            ServerRestarts = trouble.Kills,
            ConnectionsOpened = opened,
            Retries = retries,
            Complaints = [.. complaints],
        };

        async Task LegAsync(TimeSpan time, int leg)
        {
            Task callers = load.RunAsync(time, leg, cancellationToken);
            await trouble.RunAsync(time, cancellationToken);
            stage.Heal();
            await callers;
            await CountsMatchAsync(stage, complaints);
            await AllServeAsync(stage, complaints);
            foreach (TcpPool pool in stage.Pools)
            {
                pool.Clear();
            }

            await CountsMatchAsync(stage, complaints);
        }
    }

    /// <summary>Nothing under way, the counts add up, and the kernel lists as many sockets as the pools.</summary>
    /// <param name="stage">The pools.</param>
    /// <param name="complaints">Where to say that it is not so.</param>
    private static async Task CountsMatchAsync(SoakStage stage, ConcurrentQueue<string> complaints)
    {
        TcpPoolSnapshot[] now = [];
        int kernel = 0;
        bool match = await EventuallyAsync(() =>
        {
            now = [.. stage.Pools.Select(static pool => pool.GetSnapshot())];
            kernel = ProcessSockets.CanCount ? stage.Ports.Sum(ProcessSockets.CountTo) - UpstreamOf(stage) : 0;
            int pools = now.Sum(static pool => pool.Idle);
            return now.All(static pool => pool is { Used: 0, Waiting: 0, Connecting: 0, Closing: 0 } && pool.Created == pool.Closed + pool.Idle)
                && (!ProcessSockets.CanCount || kernel == pools);
        });
        if (!match)
        {
            complaints.Enqueue($"The kernel lists {kernel} sockets of the pools, they say {string.Join("; ", now.Select(static pool => $"{pool}"))}");
        }
    }

    /// <summary>The proxies' own connections to the server lead to one of the ports as well.</summary>
    private static int UpstreamOf(SoakStage stage) => stage.Proxies.Sum(static proxy => proxy.Open);

    private static async Task AllServeAsync(SoakStage stage, ConcurrentQueue<string> complaints)
    {
        foreach (TcpPool pool in stage.Pools)
        {
            CallResult last = default;
            bool serves = await EventuallyAsync(async () =>
                (last = await IdCall.RunAsync(pool, "after the storm", TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5))).Outcome == CallOutcome.Ok);
            if (!serves)
            {
                complaints.Enqueue($"{pool.Name} serves nobody after it was healed: {last}");
            }
        }
    }

    private static async Task<long> MeasureMemoryAsync()
    {
        // Buffers of a TLS connection wait for a second look of the collector, timers that were disposed for their tick.
        await Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None);
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        return GC.GetTotalMemory(forceFullCollection: true);
    }

    private static Task<bool> EventuallyAsync(Func<bool> condition) => EventuallyAsync(() => Task.FromResult(condition()));

    private static async Task<bool> EventuallyAsync(Func<Task<bool>> condition)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            if (watch.Elapsed > Patience)
            {
                return false;
            }

            await Task.Delay(20, CancellationToken.None);
        }

        return true;
    }
}
