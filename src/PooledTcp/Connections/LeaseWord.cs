namespace PooledTcp.Connections;

/// <summary>
/// The 64-bit state word of a connection: a phase, the lease's flags, and the version that tells one lease from the next.
/// Everything that must not race with something else about a connection is one compare-and-swap on this word.
/// </summary>
/// <remarks>
/// <code>
/// bits 0-1   phase      Pooled (the pool is handling it), Idle, Leased, Closed
/// bit  2     receiving  a receive is in flight
/// bit  3     sending    a send is in flight
/// bit  4     let go     the connection no longer has the lease's handle
/// bits 5-23  operations how many began, so that a word that looks the same is the same
/// bits 24-63 version    one more at each lease, so 2^40 leases before a number comes again
/// </code>
/// </remarks>
internal static class LeaseWord
{
    public const long PhaseMask = 0b11;
    public const long Pooled = 0;
    public const long Idle = 1;
    public const long Leased = 2;
    public const long Closed = 3;

    public const long Receiving = 1 << 2;
    public const long Sending = 1 << 3;
    public const long InFlight = Receiving | Sending;

    public const long LetGo = 1 << 4;

    private const long OperationStep = 1 << 5;
    private const long OperationMask = VersionStep - OperationStep;

    public const long VersionStep = 1 << 24;
    public const long VersionMask = ~(VersionStep - 1);

    public static long Phase(long word) => word & PhaseMask;

    public static long Version(long word) => word & VersionMask;

    /// <summary>The word with one more operation begun.</summary>
    public static long Begin(long word, long operation) =>
        (word & ~OperationMask) | ((word + OperationStep) & OperationMask) | operation;

    /// <summary>True when the word still belongs to the lease that was given <paramref name="version"/>.</summary>
    public static bool IsHeldBy(long word, long version) => (word & (VersionMask | PhaseMask)) == (version | Leased);
}
