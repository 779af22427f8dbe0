using PooledTcp.Configuration;
using PooledTcp.Telemetry;

namespace PooledTcp.Shutdown;

/// <summary>What a close needs beside the connection: settings, farewell, account, and how the pool stands at its start.</summary>
internal sealed record CloseContext
{
    public required ShutdownSettings Settings { get; init; }

    /// <summary>The farewell that code provides, if it does; it goes before the configured one.</summary>
    public required Func<object?, ReadOnlyMemory<byte>>? Goodbye { get; init; }

    public required PortTokens Tokens { get; init; }

    public required ClosingLane Lane { get; init; }

    public required TimeProvider Time { get; init; }

    public required PoolTelemetry Telemetry { get; init; }

    /// <summary>Keepalive would have had an ACK within this time.</summary>
    public required TimeSpan VanishedAfter { get; init; }

    /// <summary>How long to wait for a peer that is to close by itself.</summary>
    public required TimeSpan PeerCloseTimeout { get; init; }

    public required bool PortsExhausted { get; init; }

    public required bool HasWaiters { get; init; }

    /// <summary>The protocol's farewell; empty when there is none, or when TLS close_notify is it.</summary>
    public ReadOnlyMemory<byte> FarewellOf(object? session)
    {
        if (Goodbye is null)
        {
            return Settings.Goodbye.Memory;
        }

        try
        {
            return Goodbye(session);
        }
        catch (Exception)
        {
            // User code. Without a farewell the connection still closes properly.
            return default;
        }
    }
}
