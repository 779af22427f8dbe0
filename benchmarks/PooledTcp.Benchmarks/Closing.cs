using BenchmarkDotNet.Attributes;
using PooledTcp.Shutdown;

namespace PooledTcp.Benchmarks;

/// <summary>What the pool adds to a close by thinking about it. The account of the port that it costs is <see cref="Ledger"/>'s.</summary>
[MemoryDiagnoser]
public class Closing
{
    // Of the instance: of what is static and readonly the JIT would work out the decision by itself.
    private readonly CloseFacts _clean = new()
    {
        Reason = CloseReason.IdleTimeout,
        State = ConnectionState.Established,
        TokenAvailable = true,
        QuietSupported = true,
        AllowQuietClose = true,
    };

    private readonly CloseFacts _unix = new() { IsUnix = true };

    /// <summary>The first row of the table: decided at once.</summary>
    [Benchmark]
    public int DecideUnixSocket() => (int)ShutdownPolicy.Decide(_unix).First;

    /// <summary>The last row: every other one was passed over.</summary>
    [Benchmark]
    public int DecideCleanWithToken() => (int)ShutdownPolicy.Decide(_clean).First;
}
