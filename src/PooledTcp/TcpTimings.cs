namespace PooledTcp;

/// <summary>How often something took time, and how long, since the pool was made.</summary>
/// <param name="Count">How often.</param>
/// <param name="Total">All of it together. The difference of two snapshots gives the average between them.</param>
/// <param name="Longest">The longest one.</param>
public readonly record struct TcpTimings(long Count, TimeSpan Total, TimeSpan Longest)
{
    /// <summary>Zero when there was none.</summary>
    public TimeSpan Average => Count == 0 ? TimeSpan.Zero : Total / Count;

    internal TcpTimings Plus(TimeSpan one) => new(Count + 1, Total + one, one > Longest ? one : Longest);
}
