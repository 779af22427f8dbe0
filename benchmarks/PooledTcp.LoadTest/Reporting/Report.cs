using System.Globalization;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Reporting;

/// <summary>What the scenarios have found out so far. Every figure is printed when it is added.</summary>
/// <param name="console">Where.</param>
/// <param name="effort">Of all that is measured.</param>
/// <param name="asked">The targets that are looked at, by id, and with how much leeway; null for all of them, with none.</param>
internal sealed class Report(TextWriter console, Effort effort, IReadOnlyDictionary<string, Leeway>? asked = null)
{
    /// <summary>Between identical twins, on a machine of our own, it is about half of that.</summary>
    private const double NoisyInterval = 0.10;

    private readonly List<Figure> _figures = [];
    private readonly List<Target> _targets = [];

    public IReadOnlyList<Figure> Figures => _figures;

    public IReadOnlyList<Target> Targets => _targets;

    public bool Passed => _targets.TrueForAll(static target => target.Pass);

    /// <summary>Rounds that were thrown away because others used the machine, and those that were not although they did.</summary>
    public (int Repeated, int Kept) Disturbed { get; private set; }

    public void Title(string text) => console.WriteLine($"{Environment.NewLine}== {text}");

    public void Note(string text) => console.WriteLine($"   {text}");

    public void Count(int repeated, int disturbed) => Disturbed = (Disturbed.Repeated + repeated, Disturbed.Kept + disturbed);

    /// <summary>Whether anybody looks at this target, or a part of it. If not, it need not be measured.</summary>
    public bool Asks(string id) => asked is null || asked.Keys.Any(key => key == id || key.StartsWith(id + ".", StringComparison.Ordinal));

    public void Add(string measure, string series, double x, string axis, string unit, Sample sample)
    {
        Figure figure = Figure.Of(measure, series, x, axis, unit, sample);
        _figures.Add(figure);
        Note($"{measure}, {Text(x)} {axis}: {series} {Text(figure.Median)} {unit} ({Text(figure.Low)} - {Text(figure.High)} of {figure.Rounds})");
    }

    /// <summary>The median must not exceed the limit.</summary>
    public void AtMost(string id, Sample sample, double limit, string unit, string what) =>
        Add(id, sample, sample.Median, limit, unit, atLeast: false, what);

    /// <summary>Not one value may exceed the limit.</summary>
    public void NeverAbove(string id, Sample sample, double limit, string unit, string what) =>
        Add(id, sample, sample.Max, limit, unit, atLeast: false, $"{what}; the largest value counts");

    /// <summary>The median must not be below the limit.</summary>
    public void AtLeast(string id, Sample sample, double limit, string unit, string what) =>
        Add(id, sample, sample.Median, limit, unit, atLeast: true, what);

    /// <summary>The median's 95 % interval must reach up to the limit.</summary>
    public void Reaches(string id, Sample sample, double limit, string unit, string what)
    {
        Add(id, sample, sample.High, limit, unit, atLeast: true, $"{what}; the median's 95 % interval must reach it");
        TellNoise(sample);
    }

    /// <summary>How much of what was measured others may have a part in.</summary>
    public void TellDisturbed()
    {
        if (Disturbed != default)
        {
            Note($"Others used the machine: {Disturbed.Repeated} rounds were repeated, {Disturbed.Kept} could not be.");
        }
    }

    /// <summary>A target that could not be measured has failed.</summary>
    public void Fail(string id, Exception why)
    {
        _targets.Add(Target.Unmeasured(id, effort, why.Message));
        console.WriteLine($"   FAILED {id}: {why}");
    }

    /// <summary>Whoever asks for a target and gets no answer, as its name has changed, would believe that it was reached.</summary>
    /// <param name="ids">What there is to be decided; of those, the ones that are asked for.</param>
    public void FailUnanswered(IEnumerable<string> ids)
    {
        foreach (string id in ids.Where(id => asked?.ContainsKey(id) ?? true).Except(_targets.Select(static target => target.Id)).ToArray())
        {
            Fail(id, new LoadTestException("no scenario decided it"));
        }
    }

    /// <summary>A target of which the interval has to reach the limit is reached by noise alone if that is large enough: say so.</summary>
    private void TellNoise(Sample sample)
    {
        if (sample.High - sample.Low > NoisyInterval * sample.Median)
        {
            Note($"       the interval is {Text(100 * (sample.High - sample.Low) / sample.Median)} % wide: the machine is too noisy to tell");
        }
    }

    private void Add(string id, Sample sample, double value, double limit, string unit, bool atLeast, string what)
    {
        if (asked is not null)
        {
            if (!asked.TryGetValue(id, out Leeway leeway))
            {
                return;
            }

            limit = atLeast ? limit / leeway.Factor : limit * leeway.Factor;
            if (leeway.BestCounts)
            {
                value = atLeast ? sample.Max : sample.Min;
                what += "; here the best one counts";
            }
        }

        bool pass = atLeast ? value >= limit : value <= limit;
        Target target = new(id, value, limit, unit, sample.Median, sample.Min, sample.Max, pass, sample.Repeated, sample.Disturbed, atLeast, effort, what);
        _targets.Add(target);
        Note($"{(pass ? "ok    " : "FAILED")} {id}: {Text(value)} {unit}, {target.Bound} {Text(limit)} ({what}){target.Noise}");
    }

    public static string Text(double? value) => value switch
    {
        null => "-",
        { } v when v == Math.Round(v) && Math.Abs(v) < 1e9 => v.ToString("N0", CultureInfo.InvariantCulture),
        { } v when Math.Abs(v) >= 100 => v.ToString("N0", CultureInfo.InvariantCulture),
        { } v when Math.Abs(v) >= 10 => v.ToString("N1", CultureInfo.InvariantCulture),
        { } v => v.ToString("0.###", CultureInfo.InvariantCulture),
    };
}
