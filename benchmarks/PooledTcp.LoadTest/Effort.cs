namespace PooledTcp.LoadTest;

/// <summary>How long a scenario may take: for the gate, for a run that is to be published, or just to see that it works.</summary>
internal enum Effort
{
    /// <summary>Seconds, on any machine. Its figures mean nothing.</summary>
    Smoke,

    /// <summary>The gate's: all of them together within ten minutes.</summary>
    Short,

    Full,
}

internal static class Efforts
{
    public static T Pick<T>(this Effort effort, T full, T inShort, T smoke) => effort switch
    {
        Effort.Full => full,
        Effort.Short => inShort,
        _ => smoke,
    };
}
