using PooledTcp.Telemetry;

namespace PooledTcp.Shutdown;

/// <summary>The names of <see cref="CloseReason"/> as telemetry and snapshots spell them.</summary>
internal static class CloseReasons
{
    private static readonly string[] Names = [.. Enum.GetNames<CloseReason>().Select(SnakeCase.Of)];

    public static int Count => Names.Length;

    public static string Name(CloseReason reason) => Names[(int)reason];
}
