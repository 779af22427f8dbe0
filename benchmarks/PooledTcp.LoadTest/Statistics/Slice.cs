using System.Diagnostics;
using HdrHistogram;
using PooledTcp.LoadTest.Contenders;

namespace PooledTcp.LoadTest.Statistics;

/// <summary>What one contender did in one stretch of time.</summary>
/// <param name="Requests">Answered.</param>
/// <param name="Seconds">In that time.</param>
/// <param name="Bytes">Allocated by this process.</param>
/// <param name="ClientCpu">Of this process, seconds.</param>
/// <param name="ServerCpu">Of the server's, seconds; 0 without one.</param>
/// <param name="Latencies">In tenths of a microsecond; null when they were not asked for.</param>
internal sealed record Slice(long Requests, double Seconds, long Bytes, double ClientCpu, double ServerCpu, LongHistogram? Latencies)
{
    /// <summary>Of workers that get nowhere.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public double Rate => Requests / Seconds;

    public double NanosecondsEach => Seconds * 1e9 / Requests;

    public double BytesEach => (double)Bytes / Requests;

    /// <summary>
    /// Starts the workers, lets each of them get through a request, and only then looks at clock, counters and heap: what it
    /// takes to start is in no figure, and neither is what it takes to stop. But for latencies: each worker times all of its own requests
    /// after the first.
    /// </summary>
    /// <param name="contender">Prepared for that many workers.</param>
    /// <param name="workers">Callers at a time.</param>
    /// <param name="length">Between the two looks.</param>
    /// <param name="serverCpu">The server's CPU time so far, in seconds.</param>
    /// <param name="timed">Whether each request is timed, too: 40 ns each, so not where those matter.</param>
    public static async Task<Slice> MeasureAsync(Contender contender, int workers, TimeSpan length, Func<double>? serverCpu = null, bool timed = false)
    {
        StopFlag stop = new();
        Worker[] all = [.. Enumerable.Range(0, workers).Select(number => new Worker(number, stop, timed))];
        Task[] works = [.. all.Select(worker => Task.Run(() => contender.WorkAsync(worker)))];
        Task work = Task.WhenAll(works);
        try
        {
            await UntilEachIsThroughAsync(all, works);
            long bytes = GC.GetTotalAllocatedBytes(precise: true);
            double serverBefore = serverCpu?.Invoke() ?? 0;
            TimeSpan cpu = Environment.CpuUsage.TotalTime;
            long requests = all.Sum(static worker => worker.Requests);
            long start = Stopwatch.GetTimestamp();
            do
            {
                await Task.Delay(length);
            }
            while (all.Sum(static worker => worker.Requests) == requests && Stopwatch.GetElapsedTime(start) < Patience);

            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            requests = all.Sum(static worker => worker.Requests) - requests;
            cpu = Environment.CpuUsage.TotalTime - cpu;
            double server = (serverCpu?.Invoke() ?? 0) - serverBefore;
            bytes = GC.GetTotalAllocatedBytes(precise: true) - bytes;
            if (requests == 0)
            {
                throw new LoadTestException($"{contender.Name}: {workers} workers got nothing done in {seconds:F1} s.");
            }

            stop.Set();
            await StoppedAsync(contender, work);
            return new Slice(requests, seconds, bytes, cpu.TotalSeconds, server, Merge(all));
        }
        finally
        {
            stop.Set();
        }
    }

    private static async Task UntilEachIsThroughAsync(Worker[] workers, Task[] works)
    {
        long start = Stopwatch.GetTimestamp();
        while (workers.Any(static worker => worker.Requests == 0))
        {
            if (Array.Find(works, static work => work.IsCompleted) is { } ended)
            {
                await ended;
                throw new LoadTestException("A worker ended by itself.");
            }

            if (Stopwatch.GetElapsedTime(start) > Patience)
            {
                throw new LoadTestException($"{workers.Count(static worker => worker.Requests == 0)} of {workers.Length} workers got nothing done in {Patience.TotalSeconds} s.");
            }

            await Task.Delay(1);
        }
    }

    /// <summary>A reply that never came would otherwise keep the whole run for ever.</summary>
    private static async Task StoppedAsync(Contender contender, Task work)
    {
        try
        {
            await work.WaitAsync(Patience);
        }
        catch (TimeoutException e)
        {
            throw new LoadTestException($"{contender.Name}: a worker has not ended its last request {Patience.TotalSeconds} s after it was to stop.", e);
        }
    }

    private static LongHistogram? Merge(Worker[] workers)
    {
        if (workers[0].Latencies is null)
        {
            return null;
        }

        LongHistogram all = Worker.NewHistogram();
        foreach (Worker worker in workers)
        {
            all.Add(worker.Latencies!);
        }

        return all;
    }
}
