namespace PooledTcp.AspNetCore.Stats;

/// <summary>What only ever rises, of one pool or of all: two of them make a rate.</summary>
internal readonly record struct Counters(
    long Rents, long Waits, double WaitTotal, long Created, double CreateTotal, long CreateFailures, long Closed, long Timeouts)
{
    public static Counters Of(TcpPoolSnapshot pool) => new(
        pool.Rents,
        pool.WaitTime.Count,
        pool.WaitTime.Total.TotalSeconds,
        pool.Created,
        pool.CreateTime.Total.TotalSeconds,
        pool.DialsFailed,
        pool.Closed,
        pool.RentTimeouts);

    public static Counters operator +(Counters a, Counters b) => new(
        a.Rents + b.Rents,
        a.Waits + b.Waits,
        a.WaitTotal + b.WaitTotal,
        a.Created + b.Created,
        a.CreateTotal + b.CreateTotal,
        a.CreateFailures + b.CreateFailures,
        a.Closed + b.Closed,
        a.Timeouts + b.Timeouts);

    /// <summary>What came since; all of it when the pool is another one of the same name, which counts from zero.</summary>
    public Counters Since(Counters earlier) =>
        Rents < earlier.Rents || Created < earlier.Created || Waits < earlier.Waits || Closed < earlier.Closed || CreateFailures < earlier.CreateFailures
            ? this
            : new(
                Rents - earlier.Rents,
                Waits - earlier.Waits,
                WaitTotal - earlier.WaitTotal,
                Created - earlier.Created,
                CreateTotal - earlier.CreateTotal,
                CreateFailures - earlier.CreateFailures,
                Closed - earlier.Closed,
                Timeouts - earlier.Timeouts);

    /// <summary>
    /// The share of callers who found an idle connection; null when there were none. Those who timed out waited and got no lease.
    /// </summary>
    public double? ServedAtOnce
    {
        get
        {
            long asked = Rents + Timeouts;
            return asked == 0 ? null : Math.Clamp((asked - Waits) / (double)asked, 0, 1);
        }
    }

    public RateFigures PerSecond(double seconds) => new(
        Round(Rents / seconds),
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
