namespace PooledTcp.AspNetCore.Stats;

/// <summary>What is wrong with a pool, by stable codes, and how bad it is. Worse pools stand higher on the page.</summary>
internal static class Trouble
{
    public const string Failing = "failing";
    public const string Strained = "strained";
    public const string Ok = "ok";

    /// <summary>From here on a failed bind means exhaustion, to the library as to the page.</summary>
    private const double PortsExhausted = 0.9;

    /// <summary>Time enough to do something about it.</summary>
    private const double PortPressure = 0.75;

    /// <summary>A pool that has just begun to dial has reused nothing yet.</summary>
    private const int FewRents = 20;

    /// <param name="pool">As it is now.</param>
    /// <param name="recent">
    /// What came in the last interval; null when nobody looked before: all there ever was says nothing about now.
    /// </param>
    public static List<string> Of(TcpPoolSnapshot pool, Counters? recent)
    {
        List<string> found = [];
        void Add(bool holds, string code)
        {
            if (holds)
            {
                found.Add(code);
            }
        }

        double pressure = pool.PortBudget == 0 ? 0 : pool.PortPressure;
        Counters came = recent ?? default;
        bool full = pool.Idle == 0 && pool.Used + pool.Connecting + pool.Closing >= pool.MaxConnections;
        Add(pool.State == TcpPoolState.Closed, "closed");
        Add(pool.BreakerState == BreakerState.Open, "breaker_open");
        Add(pool.Waiting > 0 && pool.Waiting >= pool.MaxWaiters, "queue_full");
        Add(came.CreateFailures > 0 && came.Created == 0, "dials_failing");
        Add(pressure >= PortsExhausted, "ports_exhausted");
        Add(came.Timeouts > 0, "timeouts");
        Add(came.RentsRefused > 0, "refusals");
        Add(pool.Waiting > 0, "waiting");
        Add(full, "saturated");
        Add(came.CreateFailures > 0 && came.Created > 0, "dial_failures");
        Add(pool.BreakerState == BreakerState.HalfOpen, "breaker_half_open");
        Add(pool.BreakerState == BreakerState.Closed && pool.Addresses.Any(static a => a.BreakerState != BreakerState.Closed), "address_down");
        Add(pressure is >= PortPressure and < PortsExhausted, "port_pressure");
        Add(came.Rents >= FewRents && came.Created * 2 > came.Rents, "little_reuse");
        Add(pool.State == TcpPoolState.Paused, "paused");
        Add(pool.State == TcpPoolState.Draining, "draining");
        return found;
    }

    public static string Severity(List<string> trouble) =>
        trouble.Count == 0 ? Ok
        : trouble.Exists(static code => code is "closed" or "breaker_open" or "queue_full" or "dials_failing" or "ports_exhausted" or "timeouts" or "refusals") ? Failing
        : Strained;

    public static int Rank(string severity) => severity switch
    {
        Failing => 2,
        Strained => 1,
        _ => 0,
    };
}
