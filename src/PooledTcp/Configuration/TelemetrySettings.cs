namespace PooledTcp.Configuration;

/// <summary>An immutable copy of <see cref="TcpTelemetryOptions"/>.</summary>
internal sealed record TelemetrySettings(bool ServerAddress, bool LeaseSpans, bool SocketCount)
{
    public static TelemetrySettings From(TcpTelemetryOptions options) => new(options.ServerAddress, options.LeaseSpans, options.SocketCount);
}
