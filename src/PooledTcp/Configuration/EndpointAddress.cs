namespace PooledTcp.Configuration;

/// <summary>Where an endpoint is: a host name or IP literal with a port, or a unix socket path. Compared by value.</summary>
internal sealed record EndpointAddress
{
    /// <summary>Host name in lower case, IP literal (IPv4-mapped folded to IPv4), or the path of a unix socket.</summary>
    public required string Host { get; init; }

    /// <summary>1 to 65535; 0 for a unix socket.</summary>
    public required int Port { get; init; }

    public required bool IsUnix { get; init; }
}
