using System.Diagnostics;

namespace OutageReplay.Acts;

/// <summary>
/// The same requests at the same times for both acts, whether they succeed or not: eight users press the button
/// together, 25 times a second.
/// </summary>
internal static class PacedLoad
{
    public const int BurstSize = 8;
    public const int BurstsPerSecond = 25;
    public const int RequestsPerSecond = BurstSize * BurstsPerSecond;

    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(5);

    /// <summary>A whole number of bursts, and enough of them that 64 ports do not suffice even in the shortest replay.</summary>
    public static int RequestsIn(TimeSpan length) => (int)(length.TotalSeconds * BurstsPerSecond) * BurstSize;

    public static async Task RunAsync(IAct act, Scoreboard scoreboard, int requests, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        var inFlight = new List<Task>(requests);
        for (int number = 1; number <= requests; number++)
        {
            if ((number - 1) % BurstSize == 0)
            {
                TimeSpan due = TimeSpan.FromSeconds((double)(number - 1) / RequestsPerSecond);
                TimeSpan wait = due - Stopwatch.GetElapsedTime(start);
                if (wait > TimeSpan.Zero)
                {
                    await Task.Delay(wait, cancellationToken);
                }
            }

            // Not on another thread: the call comes back after connect(2) was issued, so request n makes the nth
            // connect and the one that finds no port is exactly the 65th.
            inFlight.Add(MeasureAsync(act, number, scoreboard, cancellationToken));
        }

        await Task.WhenAll(inFlight);
    }

    private static async Task MeasureAsync(IAct act, int number, Scoreboard scoreboard, CancellationToken cancellationToken)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(RequestTimeout);
        long start = Stopwatch.GetTimestamp();
        try
        {
            await act.RequestAsync(number, timeout.Token);
            scoreboard.Succeeded(Stopwatch.GetElapsedTime(start));
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            scoreboard.Failed(number, exception);
        }
    }
}
