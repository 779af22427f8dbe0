using System.Diagnostics;

namespace PooledTcp.KernelTests.Outage;

/// <summary>
/// An open load: request n is due n / rate after the start and is begun then, or at once if the machine is behind; it waits
/// for no other one. So the rate is offered whatever is carried, and what is not carried yet queues up in the pool.
/// </summary>
internal static class PacedLoad
{
    /// <summary>Returns the longest that its own timer, which asks for a millisecond, was kept waiting.</summary>
    public static async Task<TimeSpan> RunAsync(int perSecond, TimeSpan length, Func<Task> request)
    {
        int requests = (int)(perSecond * length.TotalSeconds);
        var underWay = new Task[requests];
        TimeSpan lag = default;
        long start = Stopwatch.GetTimestamp();
        for (int begun = 0; begun < requests;)
        {
            int due = (int)Math.Min(requests, (Stopwatch.GetElapsedTime(start).TotalSeconds * perSecond) + 1);
            while (begun < due)
            {
                underWay[begun++] = Task.Run(request);
            }

            long slept = Stopwatch.GetTimestamp();
            await Task.Delay(1);
            TimeSpan kept = Stopwatch.GetElapsedTime(slept);
            lag = kept > lag ? kept : lag;
        }

        await Task.WhenAll(underWay);
        return lag;
    }
}
