using System.Collections.Immutable;

namespace PooledTcp.Telemetry;

/// <summary>
/// What the metrics of a pool carry to tell it from others: one set of series. Compared by value, since several ad hoc
/// pools may share one.
/// </summary>
internal sealed class PoolTags : IEquatable<PoolTags>
{
    /// <summary>The name that all pools share that are not configured.</summary>
    public const string AdHoc = "ad_hoc";

    private readonly string _pool;

    /// <param name="pool">The pool's name.</param>
    /// <param name="address">Null where it is not told.</param>
    /// <param name="port">Null where it is not told, and for a unix socket.</param>
    public PoolTags(string pool, string? address, int? port)
    {
        _pool = pool;
        ServerAddress = address;
        ServerPort = port;
        All =
        [
            new(Attributes.PoolName, pool),
            .. address is null ? [] : (KeyValuePair<string, object?>[])[new(Attributes.ServerAddress, address)],
            .. port is null ? [] : (KeyValuePair<string, object?>[])[new(Attributes.ServerPort, port)],
        ];
    }

    public string? ServerAddress { get; }

    public int? ServerPort { get; }

    public ImmutableArray<KeyValuePair<string, object?>> All { get; }

    public bool Equals(PoolTags? other) =>
        other is not null && string.Equals(_pool, other._pool, StringComparison.Ordinal)
        && string.Equals(ServerAddress, other.ServerAddress, StringComparison.Ordinal) && ServerPort == other.ServerPort;

    public override bool Equals(object? obj) => Equals(obj as PoolTags);

    public override int GetHashCode() => HashCode.Combine(_pool, ServerAddress, ServerPort);
}
