using PooledTcp.Connections;

namespace PooledTcp.Health;

/// <summary>One address of an endpoint: where to dial, and what is known of dialing there. Under the pool's gate only.</summary>
internal sealed class Route(DialTarget target, Func<double> nextRandom)
{
    public DialTarget Target { get; } = target;

    public Breaker Breaker { get; } = new(nextRandom);
}
