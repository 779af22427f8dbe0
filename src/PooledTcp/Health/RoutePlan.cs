using PooledTcp.Connections;

namespace PooledTcp.Health;

/// <summary>The addresses that one dial tries, in this order, and for which of them it is the breaker's probe.</summary>
internal sealed class RoutePlan
{
    public RoutePlan(IReadOnlyList<(Route Route, bool IsProbe)> steps, bool needsLookup)
    {
        Steps = steps;
        NeedsLookup = needsLookup;
        Race = new DialRace([.. steps.Select(static step => step.Route.Target)]);
    }

    public IReadOnlyList<(Route Route, bool IsProbe)> Steps { get; }

    /// <summary>The name has no known address yet: its only step stands for the lookup.</summary>
    public bool NeedsLookup { get; }

    public DialRace Race { get; }
}
