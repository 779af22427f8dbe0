using System.Collections.Concurrent;
using PooledTcp.TestSupport;

namespace PooledTcp.Soak;

/// <summary>Callers of every kind, and the account of how their calls ended.</summary>
internal sealed class SoakLoad(IReadOnlyList<TcpPool> pools, SoakPlan plan)
{
    private const int LongestPauseMs = 8;
    private const int LongestRentMs = 500;
    private const int LongestExchangeMs = 600;
    private const int LatestCancelMs = 4;
    private const int LargePadding = 100_000;
    private const int Kept = 20;

    private static readonly CallStyle[] Styles =
        [CallStyle.Direct, CallStyle.Direct, CallStyle.Stream, CallStyle.Pipes, CallStyle.Execute, CallStyle.ExecuteIdempotent, CallStyle.Discard, CallStyle.Forget];

    private readonly long[] _outcomes = new long[Enum.GetValues<CallOutcome>().Length];
    private long _sequence;

    public long this[CallOutcome outcome] => Volatile.Read(ref _outcomes[(int)outcome]);

    /// <summary>The first calls that ended as none may.</summary>
    public ConcurrentQueue<string> Complaints { get; } = new();

    public async Task RunAsync(TimeSpan time, int leg, CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        over.CancelAfter(time);
        await Task.WhenAll(Enumerable.Range(0, plan.Callers).Select(caller => Task.Run(async () =>
        {
            var random = new Random(HashCode.Combine(plan.Seed, leg, caller));
            while (!over.IsCancellationRequested)
            {
                await CallAsync(random);
                await Task.Delay(random.Next(LongestPauseMs), CancellationToken.None);
            }
        })));
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task CallAsync(Random random)
    {
        using var cancellation = new CancellationTokenSource();
        if (random.Next(4) == 0)
        {
            cancellation.CancelAfter(random.Next(LatestCancelMs));
        }

        string id = $"call {Interlocked.Increment(ref _sequence)}";
        CallResult result = await IdCall.RunAsync(
            pools[random.Next(pools.Count)],
            random.Next(50) == 0 ? id + new string('.', LargePadding) : id,
            TimeSpan.FromMilliseconds(random.Next(LongestRentMs)),
            TimeSpan.FromMilliseconds(random.Next(1, LongestExchangeMs)),
            Styles[random.Next(Styles.Length)],
            cancellation.Token);
        Interlocked.Increment(ref _outcomes[(int)result.Outcome]);
        if (result.Outcome is CallOutcome.Wrong or CallOutcome.Untyped && Complaints.Count < Kept)
        {
            string told = $"{result.Outcome}: {result.Error}";
            Complaints.Enqueue(told.Length > 2000 ? told[..2000] : told);
        }
    }
}
