namespace PooledTcp.LoadTest;

/// <summary>How long a scenario may take: for the gate, for a run that is to be published, or just to see that it works.</summary>
internal enum Effort
{
    /// <summary>Seconds, on any machine. Its figures mean nothing.</summary>
    Smoke,

    /// <summary>The gate's: all of them together within ten minutes.</summary>
    Short,

    /// <summary>For <c>.ci/run</c>: as short, with fewer rounds, since the best of them counts where noise has a part.</summary>
    Check,

    Full,
}

internal static class Efforts
{
    /// <summary>The check does it as the gate does.</summary>
    public static T Pick<T>(this Effort effort, T full, T inShort, T smoke) => effort.Pick(full, inShort, smoke, check: inShort);

    public static T Pick<T>(this Effort effort, T full, T inShort, T smoke, T check) => effort switch
    {
        Effort.Full => full,
        Effort.Short => inShort,
        Effort.Check => check,
        _ => smoke,
    };
}
