using System.Collections.Concurrent;
using System.Diagnostics;
using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// T5, after HikariCP's "Welcome to the jungle": 50 callers come at once, 5 connections are warm, a dial takes 150 ms and a use 2. All
/// callers could be served by what is there long before the first dial ends. How many connections are there afterwards?
/// </summary>
internal static class SpikeScenario
{
    private const int Callers = 50;
    private const int Warm = 5;
    private const int MaxConnecting = 4;

    private static readonly TimeSpan Dial = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan Use = TimeSpan.FromMilliseconds(2);

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        report.Title($"{Callers} callers at once on {Warm} warm connections (T5)");
        List<Burst> pooled = [];
        List<Burst> byHand = [];
        for (int i = 0; i < effort.Pick(21, 9, 2); i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            pooled.Add(await PlayPooledAsync());
            byHand.Add(await PlayByHandAsync());
        }

        foreach ((string series, List<Burst> bursts) in ((string, List<Burst>)[])[("PooledTcp", pooled), ("SemaphoreSlim + stack", byHand)])
        {
            report.Add("spike", series, Callers, "callers", "connections in the end", new Sample(bursts.Select(static b => (double)b.Connections)));
            report.Add("spike", series, Callers, "callers", "ms of wait at p50", new Sample(bursts.Select(static b => b.Wait(0.50))));
            report.Add("spike", series, Callers, "callers", "ms of wait at p99, which of 50 is the longest", new Sample(bursts.Select(static b => b.Wait(0.99))));
        }

        report.NeverAbove(
            "T5.connections",
            new Sample(pooled.Select(static b => (double)b.Connections)),
            Warm + MaxConnecting,
            "connections",
            $"after {Callers} callers at once on {Warm} warm connections, MaxConnecting {MaxConnecting}");
    }

    private static async Task<Burst> PlayPooledAsync()
    {
        await using PooledTcpClient client = NullClient.Create(["cache"], static e => e.MaxConnecting = MaxConnecting, new SlowConnector(Dial));
        TcpPool pool = client.GetPool("cache");
        await pool.WarmUpAsync(Warm);
        double[] waits = await PlayAsync(async () =>
        {
            using TcpLease lease = await pool.RentAsync();
            long rented = Stopwatch.GetTimestamp();
            await Task.Delay(Use);
            lease.Complete();
            return rented;
        });
        while (pool.GetSnapshot().Connecting > 0)
        {
            await Task.Delay(10);
        }

        TcpPoolSnapshot end = pool.GetSnapshot();
        return new Burst(end.Idle + end.Used, waits);
    }

    private static async Task<Burst> PlayByHandAsync()
    {
        SlowConnector connector = new(Dial);
        using SemaphoreStackPool<object> pool = new(100, connector.OpenAsync);

        // Five at once: rented one after the other, it would be the same one.
        object[] warm = await Task.WhenAll(Enumerable.Range(0, Warm).Select(async _ => await pool.RentAsync()));
        Array.ForEach(warm, pool.Return);
        int dialsBefore = connector.Dials;
        double[] waits = await PlayAsync(async () =>
        {
            object item = await pool.RentAsync();
            long rented = Stopwatch.GetTimestamp();
            await Task.Delay(Use);
            pool.Return(item);
            return rented;
        });
        return new Burst(Warm + connector.Dials - dialsBefore, waits);
    }

    /// <summary>How long each caller waited for its connection, in milliseconds, sorted.</summary>
    private static async Task<double[]> PlayAsync(Func<Task<long>> use)
    {
        ConcurrentBag<double> waits = [];
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task all = Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            await gate.Task;
            long start = Stopwatch.GetTimestamp();
            waits.Add(Stopwatch.GetElapsedTime(start, await use()).TotalMilliseconds);
        })));
        gate.SetResult();
        await all;
        return [.. waits.Order()];
    }

    private sealed record Burst(int Connections, double[] Waits)
    {
        public double Wait(double share) => Waits[(int)Math.Round(share * (Waits.Length - 1))];
    }
}
