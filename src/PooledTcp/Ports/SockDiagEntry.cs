using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace PooledTcp.Ports;

/// <summary>One socket of a dump: a view of the kernel's <c>inet_diag_msg</c>, valid only during the visit.</summary>
internal readonly ref struct SockDiagEntry(ReadOnlySpan<byte> message)
{
    /// <summary>4 bytes of head, 48 of socket id, 5 numbers of 4.</summary>
    public const int Length = 72;

    private const byte FamilyIPv4 = 2;
    private const byte TimeWaitTimer = 3;

    private readonly ReadOnlySpan<byte> _message = message;

    /// <summary>Exactly one bit.</summary>
    public TcpStates State => (TcpStates)(1U << _message[1]);

    public int LocalPort => BinaryPrimitives.ReadUInt16BigEndian(_message[4..]);

    public int RemotePort => BinaryPrimitives.ReadUInt16BigEndian(_message[6..]);

    public AddressKey Local => Address(8);

    public AddressKey Remote => Address(24);

    /// <summary>When the TIME_WAIT timer fires, measured by the kernel; null while another timer, or none, runs.</summary>
    public TimeSpan? TimeWaitLeft =>
        _message[2] == TimeWaitTimer ? TimeSpan.FromMilliseconds(MemoryMarshal.Read<uint>(_message[52..])) : null;

    /// <summary>The owner's user id. A TIME_WAIT belongs to nobody and says 0.</summary>
    public uint UserId => MemoryMarshal.Read<uint>(_message[64..]);

    /// <summary>0 for a socket that no process holds any more.</summary>
    public uint Inode => MemoryMarshal.Read<uint>(_message[68..]);

    private AddressKey Address(int offset) =>
        AddressKey.From(_message.Slice(offset, _message[0] == FamilyIPv4 ? 4 : 16));
}

/// <summary>Receives the sockets of a dump. A struct passed by reference, so that a dump allocates nothing per socket.</summary>
internal interface ISockDiagVisitor
{
    void Visit(SockDiagEntry entry);
}

/// <summary>What the exact look-up says about one socket.</summary>
internal readonly record struct SockDiagSocket(TcpStates State, TimeSpan? TimeWaitLeft, uint UserId, uint Inode);

/// <summary>Which sockets a dump is about; the kernel does the filtering. <c>default</c> is all of them.</summary>
internal readonly record struct SockDiagFilter
{
    public AddressKey Local { get; init; }

    public AddressKey Remote { get; init; }

    /// <summary>0 is any.</summary>
    public int LocalPort { get; init; }

    /// <summary>0 is any.</summary>
    public int RemotePort { get; init; }
}
