using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace PooledTcp.Ports;

/// <summary>
/// An IP address as the port tables compare it: 128 bits in network order, IPv4 in its mapped form. So 10.0.0.1 and
/// ::ffff:10.0.0.1 are one key: a dual-mode socket blocks the IPv4 connects of its tuple (tcp-facts section 3).
/// <c>default</c> is "any". Scope ids are left out, which at worst adds up two links that share a link-local address.
/// </summary>
internal readonly record struct AddressKey(ulong High, ulong Low)
{
    private const ulong MappedPrefix = 0xFFFF_0000_0000;

    public static AddressKey Any => default;

    public bool IsAny => this == default;

    public bool IsIPv4 => High == 0 && Low >> 32 == MappedPrefix >> 32;

    public static AddressKey From(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out int length);
        return From(bytes[..length]);
    }

    /// <summary>4 or 16 bytes in network order. Both wildcards are "any".</summary>
    public static AddressKey From(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != 4)
        {
            return new AddressKey(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));
        }

        uint address = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        return address == 0 ? Any : new AddressKey(0, MappedPrefix | address);
    }

    /// <summary>Writes 4 bytes for <see cref="AddressFamily.InterNetwork"/> (IPv4 keys only), else 16.</summary>
    public void Write(Span<byte> destination, AddressFamily family)
    {
        if (family == AddressFamily.InterNetwork)
        {
            BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)Low);
            return;
        }

        BinaryPrimitives.WriteUInt64BigEndian(destination, High);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Low);
    }

    public IPAddress ToIPAddress()
    {
        AddressFamily family = IsIPv4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        Span<byte> bytes = stackalloc byte[16];
        Write(bytes, family);
        return new IPAddress(IsIPv4 ? bytes[..4] : bytes);
    }

    public override string ToString() => IsAny ? "any" : ToIPAddress().ToString();
}
