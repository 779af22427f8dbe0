namespace PooledTcp.AspNetCore.Stats;

/// <summary>What only ever rises, of one pool or of all: two of them make a rate.</summary>
internal readonly record struct Counters(
    long Rents,
    long RentsWaited,
    long RentsRefused,
    long Timeouts,
    long Waits,
    double WaitTotal,
    long Created,
    double CreateTotal,
    long CreateFailures,
    long Closed)
{
    public static Counters Of(TcpPoolSnapshot pool) => new(
        pool.Rents,
        pool.RentsWaited,
        pool.RentsRefused,
        pool.RentTimeouts,
        pool.WaitTime.Count,
        pool.WaitTime.Total.TotalSeconds,
        pool.Created,
        pool.CreateTime.Total.TotalSeconds,
        pool.DialsFailed,
        pool.Closed);

    public static Counters operator +(Counters a, Counters b) => new(
        a.Rents + b.Rents,
        a.RentsWaited + b.RentsWaited,
        a.RentsRefused + b.RentsRefused,
        a.Timeouts + b.Timeouts,
        a.Waits + b.Waits,
        a.WaitTotal + b.WaitTotal,
        a.Created + b.Created,
        a.CreateTotal + b.CreateTotal,
        a.CreateFailures + b.CreateFailures,
        a.Closed + b.Closed);

    /// <summary>
    /// What came since; all of it when the pool is another one of the same name, which counts from zero: an ad hoc pool goes when
    /// it is unused, and comes again. Any counter may be the one that tells, the new pool may have passed the old one in others.
    /// </summary>
    public Counters Since(Counters earlier)
    {
        Counters since = new(
            Rents - earlier.Rents,
            RentsWaited - earlier.RentsWaited,
            RentsRefused - earlier.RentsRefused,
            Timeouts - earlier.Timeouts,
            Waits - earlier.Waits,
            WaitTotal - earlier.WaitTotal,
            Created - earlier.Created,
            CreateTotal - earlier.CreateTotal,
            CreateFailures - earlier.CreateFailures,
            Closed - earlier.Closed);
        return since.WentBack ? this : since;
    }

    /// <summary>
    /// The share of leases that were given out at once; null when there were none. Who waited and got none, cancelled or failed,
    /// is not one of them.
    /// </summary>
    public double? ServedAtOnce => Rents == 0 ? null : Math.Clamp((Rents - RentsWaited) / (double)Rents, 0, 1);

    private bool WentBack =>
        (Rents | RentsWaited | RentsRefused | Timeouts | Waits | Created | CreateFailures | Closed) < 0 || WaitTotal < 0 || CreateTotal < 0;

    public RateFigures PerSecond(double seconds) => new(
        Round(Rents / seconds),
        Round(RentsRefused / seconds),
        Round(Waits / seconds),
        Round(Created / seconds),
        Round(CreateFailures / seconds),
        Round(Closed / seconds),
        Round(Timeouts / seconds),
        Waits == 0 ? null : Round(WaitTotal / Waits),
        Created == 0 ? null : Round(CreateTotal / Created),
        ServedAtOnce is { } share ? Round(share) : null);

    private static double Round(double value) => Math.Round(value, 6);
}
