namespace PooledTcp.Shutdown;

/// <summary>The names of <see cref="CloseMethod"/> as telemetry and snapshots spell them.</summary>
internal static class CloseMethods
{
    public static int Count { get; } = Enum.GetValues<CloseMethod>().Length;

    /// <summary>A descriptor closed without a decision counts as passive: the peer's reset decided, or there was no TCP.</summary>
    public static string Name(CloseMethod method) => method switch
    {
        CloseMethod.Goodbye => "goodbye",
        CloseMethod.Graceful => "graceful",
        CloseMethod.Quiet => "quiet",
        CloseMethod.Abort => "abort",
        _ => "passive",
    };
}
