namespace PooledTcp.LoadTest.Statistics;

/// <summary>
/// Interleaved rounds: each measures every contender once, in random order, so that what the machine does meanwhile meets all of
/// them alike. Only ratios inside a round mean anything here: the same binary gave 30 ns and later 24 ns for one thing.
/// </summary>
internal sealed class Rounds<TCase, TResult>
    where TCase : notnull
{
    private readonly IReadOnlyList<TCase> _cases;
    private readonly List<Dictionary<TCase, TResult>> _rounds = [];

    private Rounds(IReadOnlyList<TCase> cases) => _cases = cases;

    /// <summary>Rounds that were thrown away, since others used the machine.</summary>
    public int Repeated { get; private set; }

    /// <summary>Disturbed ones that are in the figures all the same: there were too many to repeat.</summary>
    public int Disturbed { get; private set; }

    /// <param name="cases">What is compared.</param>
    /// <param name="rounds">How many undisturbed ones are wanted. Half as many are repeated at most, so that it comes to an end.</param>
    /// <param name="warmUps">Rounds before those, which count for nothing: code is compiled, connections are opened.</param>
    /// <param name="measure">Measures one.</param>
    /// <param name="pause">After each warm-up.</param>
    /// <param name="neighbours">Says whether a round was disturbed.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<Rounds<TCase, TResult>> RunAsync(
        IReadOnlyList<TCase> cases,
        int rounds,
        int warmUps,
        Func<TCase, Task<TResult>> measure,
        Func<CancellationToken, Task> pause,
        Neighbours neighbours,
        CancellationToken cancellationToken)
    {
        Rounds<TCase, TResult> table = new(cases);
        TCase[] order = [.. cases];
        for (int i = 0; i < warmUps; i++)
        {
            await PlayAsync(order, measure, cancellationToken);
            await pause(cancellationToken);
        }

        int repeatable = rounds / 2;
        while (table._rounds.Count < rounds)
        {
            neighbours.Begin();
            Dictionary<TCase, TResult> round = await PlayAsync(order, measure, cancellationToken);
            bool disturbed = neighbours.Disturbed;
            if (disturbed && table.Repeated < repeatable)
            {
                table.Repeated++;
                continue;
            }

            table.Disturbed += disturbed ? 1 : 0;
            table._rounds.Add(round);
        }

        return table;
    }

    public Sample Of(TCase contender, Func<TResult, double> figure) => Sampled(round => figure(round[contender]));

    /// <summary>One contender's figure divided by another's, formed inside each round.</summary>
    public Sample Ratio(TCase contender, TCase to, Func<TResult, double> figure) =>
        Sampled(round => figure(round[contender]) / figure(round[to]));

    /// <summary>A figure of each round as a whole.</summary>
    public Sample Of(Func<IReadOnlyDictionary<TCase, TResult>, double> figure) => Sampled(figure);

    /// <summary>All that was measured of one.</summary>
    public IEnumerable<TResult> All(TCase contender) => _rounds.Select(round => round[contender]);

    /// <summary>One figure of each contender, in their given order, for another process.</summary>
    public ProcessRounds Export(Func<TResult, double> figure) =>
        new(Repeated, Disturbed, _cases.ToDictionary(static contender => $"{contender}", contender => All(contender).Select(figure).ToArray()));

    private Sample Sampled(Func<IReadOnlyDictionary<TCase, TResult>, double> figure) =>
        new(_rounds.Select(figure)) { Repeated = Repeated, Disturbed = Disturbed };

    private static async Task<Dictionary<TCase, TResult>> PlayAsync(TCase[] order, Func<TCase, Task<TResult>> measure, CancellationToken cancellationToken)
    {
        Random.Shared.Shuffle(order);
        Dictionary<TCase, TResult> round = [];
        foreach (TCase contender in order)
        {
            cancellationToken.ThrowIfCancellationRequested();
            round.Add(contender, await measure(contender));
        }

        return round;
    }
}
