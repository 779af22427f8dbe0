namespace PooledTcp.LoadTest.Statistics;

/// <summary>
/// The same rounds in several processes. Each process counts once, by its median: what differs between processes does not show inside
/// one, so all rounds together would look surer than they are.
/// </summary>
internal sealed class Processes(IReadOnlyList<ProcessRounds> processes)
{
    public IEnumerable<string> Contenders => processes[0].Values.Keys;

    public int Repeated => processes.Sum(static process => process.Repeated);

    public int Disturbed => processes.Sum(static process => process.Disturbed);

    public Sample Of(string contender) => Over(process => process.Values[contender]);

    /// <summary>One contender's value divided by another's, formed inside each round.</summary>
    public Sample Ratio(string contender, string to) =>
        Over(process => process.Values[contender].Zip(process.Values[to], static (value, other) => value / other));

    private Sample Over(Func<ProcessRounds, IEnumerable<double>> rounds) =>
        new(processes.Select(process => new Sample(rounds(process)).Median)) { Repeated = Repeated, Disturbed = Disturbed };
}
