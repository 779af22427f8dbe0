using PooledTcp.Configuration;

namespace PooledTcp.Shutdown;

/// <summary>What a close needs beside the connection.</summary>
internal sealed record CloseContext
{
    public required ShutdownSettings Settings { get; init; }

    /// <summary>The protocol's farewell; empty when there is none, or when TLS close_notify is it.</summary>
    public required ReadOnlyMemory<byte> Farewell { get; init; }

    public required PortTokens Tokens { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>The peer's RST was seen before the close began.</summary>
    public required bool PeerWasFirst { get; init; }
}
