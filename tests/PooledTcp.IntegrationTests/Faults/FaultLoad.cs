using System.Collections.Concurrent;
using System.Diagnostics;
using PooledTcp.TestSupport;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>Many callers, each with one call at a time at a steady pace, and the account of how their calls ended.</summary>
internal sealed class FaultLoad(TcpPool pool, DeadlineAudit audit)
{
    // With 160 callers some two thousand calls a second: enough for a 99.9th percentile, and little work.
    private const int Callers = 160;

    /// <summary>Each rent's deadline, then each exchange's, and the time between two calls of one caller.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(60);

    private readonly int[] _outcomes = new int[Enum.GetValues<CallOutcome>().Length];
    private int _sequence;

    /// <summary>What must never be: wrong replies, and errors that the library does not promise.</summary>
    public ConcurrentQueue<string> Faults { get; } = new();

    public int this[CallOutcome outcome] => Volatile.Read(ref _outcomes[(int)outcome]);

    /// <summary>Calls until <paramref name="isOver"/>; returns when the last call has ended.</summary>
    public Task RunAsync(Func<bool> isOver) => Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
    {
        // Not all at the same moment.
        await Task.Delay(Patience * caller / Callers);
        while (!isOver())
        {
            Task pace = Task.Delay(Patience);
            await CallAsync(Patience, Patience);
            await pace;
        }
    })));

    /// <summary>Calls for some time.</summary>
    public Task RunAsync(TimeSpan time)
    {
        long start = Stopwatch.GetTimestamp();
        return RunAsync(() => Stopwatch.GetElapsedTime(start) >= time);
    }

    /// <summary>So many connections lie idle; where a dial's short timeout was the machine's fault, it is tried again.</summary>
    public async Task WarmUpAsync(int connections, CancellationToken cancellationToken)
    {
        while (pool.GetSnapshot().Idle < connections)
        {
            try
            {
                await pool.WarmUpAsync(connections, cancellationToken);
            }
            catch (PooledTcpException)
            {
                await Task.Delay(10, cancellationToken);
            }
        }
    }

    /// <summary>One call after the other until some in a row have been answered: service has resumed. How long the first took.</summary>
    public async Task<TimeSpan> UntilServedAsync(CancellationToken cancellationToken)
    {
        const int InARow = 20;
        var watch = Stopwatch.StartNew();
        TimeSpan first = TimeSpan.Zero;
        for (int served = 0; served < InARow;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            CallOutcome outcome = await CallAsync(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5));
            if (outcome == CallOutcome.Ok)
            {
                first = served++ == 0 ? watch.Elapsed : first;
            }
            else
            {
                served = 0;
                await Task.Delay(10, cancellationToken);
            }
        }

        return first;
    }

    public override string ToString() =>
        string.Join(", ", Enum.GetValues<CallOutcome>().Where(outcome => this[outcome] > 0).Select(outcome => $"{outcome} {this[outcome]}"));

    private async Task<CallOutcome> CallAsync(TimeSpan rentTimeout, TimeSpan exchangeTimeout)
    {
        CallResult result = await IdCall.RunAsync(pool, $"call {Interlocked.Increment(ref _sequence)}", rentTimeout, exchangeTimeout);
        Interlocked.Increment(ref _outcomes[(int)result.Outcome]);
        audit.Record(result.RentStarted, result.RentedIn, rentTimeout);
        if (result.Outcome is CallOutcome.Wrong or CallOutcome.Untyped)
        {
            Faults.Enqueue($"{result.Outcome}: {result.Error}");
        }

        return result.Outcome;
    }
}
