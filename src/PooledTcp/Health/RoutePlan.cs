using PooledTcp.Connections;

namespace PooledTcp.Health;

/// <summary>The addresses that one dial tries, in this order, and for which of them it is the breaker's probe.</summary>
internal sealed class RoutePlan
{
    public RoutePlan(IReadOnlyList<(Route Route, bool IsProbe)> steps, bool needsLookup)
    {
        Steps = steps;
        NeedsLookup = needsLookup;

        // By hand, as this runs under the pool's gate.
        DialTarget[] targets = new DialTarget[steps.Count];
        for (int i = 0; i < targets.Length; i++)
        {
            targets[i] = steps[i].Route.Target;
        }

        Race = new DialRace(targets);
    }

    public IReadOnlyList<(Route Route, bool IsProbe)> Steps { get; }

    /// <summary>The name has no known address yet: its only step stands for the lookup.</summary>
    public bool NeedsLookup { get; }

    public DialRace Race { get; }
}
