using Microsoft.Extensions.Configuration;

namespace PooledTcp.Configuration;

/// <summary>What only the client's settings need; the server half compiles the rest of this reader, too.</summary>
internal readonly partial struct SettingReader
{
    /// <summary>A time, Infinite, or nothing at all.</summary>
    public TimeSpan? TimeOrNull(TimeSpan? current) =>
        IsValue() && string.IsNullOrEmpty(section.Value) ? null : TimeOrInfinite(current ?? TimeSpan.Zero);

    public ClosesFirst Side(ClosesFirst current) =>
        Read(current, "one of Auto, Server, Client", static s => s.Get<ClosesFirst>());
}
