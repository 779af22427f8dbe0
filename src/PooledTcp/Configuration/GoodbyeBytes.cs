namespace PooledTcp.Configuration;

/// <summary>
/// The bytes of a farewell. Compared by value: the same text, parsed again on reload, must not count as a change. Never
/// changed after they are put here.
/// </summary>
internal readonly struct GoodbyeBytes(ReadOnlyMemory<byte> memory) : IEquatable<GoodbyeBytes>
{
    public ReadOnlyMemory<byte> Memory => memory;

    public bool IsEmpty => memory.IsEmpty;

    public static bool operator ==(GoodbyeBytes left, GoodbyeBytes right) => left.Equals(right);

    public static bool operator !=(GoodbyeBytes left, GoodbyeBytes right) => !left.Equals(right);

    public bool Equals(GoodbyeBytes other) => memory.Span.SequenceEqual(other.Memory.Span);

    public override bool Equals(object? obj) => obj is GoodbyeBytes other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(memory.Span);
        return hash.ToHashCode();
    }

    public override string ToString() => Convert.ToHexString(memory.Span);
}
