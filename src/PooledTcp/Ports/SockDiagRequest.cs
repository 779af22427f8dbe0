using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace PooledTcp.Ports;

/// <summary>
/// The bytes of a request (<c>linux/netlink.h</c>, <c>linux/inet_diag.h</c>): ports are matched by the socket id in the
/// head, addresses by a little program of at most two conditions that the kernel runs over every socket.
/// </summary>
internal static class SockDiagRequest
{
    public const int MaxLength = HeaderLength + RequestLength + AttributeHeader + 2 * (ConditionHeader + 16);
    public const int HeaderLength = 16;

    private const int RequestLength = 56;
    private const int AttributeHeader = 4;
    private const int ConditionHeader = 12;

    private const ushort SockDiagByFamily = 20;
    private const ushort FlagRequest = 0x1;
    private const ushort FlagDump = 0x300;
    private const ushort AttributeBytecode = 1;
    private const byte OpLocalCondition = 7;
    private const byte OpRemoteCondition = 8;
    private const byte ProtocolTcp = 6;

    // Offsets of inet_diag_req_v2 behind the netlink header.
    private const int States = 4;
    private const int LocalPort = 8;
    private const int RemotePort = 10;
    private const int LocalAddress = 12;
    private const int RemoteAddress = 28;
    private const int Cookie = 48;

    /// <summary>All sockets of one family that match. Returns the length written.</summary>
    public static int WriteDump(Span<byte> buffer, AddressFamily family, TcpStates states, in SockDiagFilter filter)
    {
        buffer.Clear();
        Span<byte> request = buffer[HeaderLength..];
        WriteHead(request, family, states);
        BinaryPrimitives.WriteUInt16BigEndian(request[LocalPort..], (ushort)filter.LocalPort);
        BinaryPrimitives.WriteUInt16BigEndian(request[RemotePort..], (ushort)filter.RemotePort);

        int length = HeaderLength + RequestLength;
        int program = ConditionLength(filter.Local) + ConditionLength(filter.Remote);
        if (program > 0)
        {
            Span<byte> attribute = buffer.Slice(length, AttributeHeader + program);
            MemoryMarshal.Write(attribute, (ushort)attribute.Length);
            MemoryMarshal.Write(attribute[2..], AttributeBytecode);
            Span<byte> rest = attribute[AttributeHeader..];
            rest = WriteCondition(rest, OpLocalCondition, filter.Local);
            WriteCondition(rest, OpRemoteCondition, filter.Remote);
            length += attribute.Length;
        }

        WriteHeader(buffer, length, FlagRequest | FlagDump);
        return length;
    }

    /// <summary>The one socket of a 4-tuple. Returns the length written.</summary>
    public static int WriteLookUp(Span<byte> buffer, AddressKey local, int localPort, AddressKey remote, int remotePort)
    {
        buffer.Clear();
        Span<byte> request = buffer[HeaderLength..];

        // Folded addresses are looked up as IPv4: that finds dual-mode sockets too, since both are hashed alike.
        AddressFamily family = remote.IsIPv4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        WriteHead(request, family, TcpStates.All);
        BinaryPrimitives.WriteUInt16BigEndian(request[LocalPort..], (ushort)localPort);
        BinaryPrimitives.WriteUInt16BigEndian(request[RemotePort..], (ushort)remotePort);
        local.Write(request[LocalAddress..], family);
        remote.Write(request[RemoteAddress..], family);

        // INET_DIAG_NOCOOKIE: whatever socket has that tuple now.
        request.Slice(Cookie, 8).Fill(0xFF);
        WriteHeader(buffer, HeaderLength + RequestLength, FlagRequest);
        return HeaderLength + RequestLength;
    }

    private static void WriteHeader(Span<byte> buffer, int length, ushort flags)
    {
        MemoryMarshal.Write(buffer, length);
        MemoryMarshal.Write(buffer[4..], SockDiagByFamily);
        MemoryMarshal.Write(buffer[6..], flags);
    }

    private static void WriteHead(Span<byte> request, AddressFamily family, TcpStates states)
    {
        request[0] = KernelFamily(family);
        request[1] = ProtocolTcp;
        MemoryMarshal.Write(request[States..], (uint)states);
    }

    private static int ConditionLength(AddressKey address) =>
        address.IsAny ? 0 : ConditionHeader + (address.IsIPv4 ? 4 : 16);

    /// <summary>
    /// inet_diag_bc_op (code, where to go on yes, on no) and inet_diag_hostcond (family, prefix, port, address). "No" goes
    /// past the end by 4 bytes, which is how the kernel spells reject. An IPv4 condition also matches a mapped address.
    /// </summary>
    private static Span<byte> WriteCondition(Span<byte> rest, byte code, AddressKey address)
    {
        int length = ConditionLength(address);
        if (length == 0)
        {
            return rest;
        }

        AddressFamily family = address.IsIPv4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        rest[0] = code;
        rest[1] = (byte)length;
        MemoryMarshal.Write(rest[2..], (ushort)(rest.Length + 4));
        rest[4] = KernelFamily(family);
        rest[5] = (byte)(address.IsIPv4 ? 32 : 128);
        MemoryMarshal.Write(rest[8..], -1);
        address.Write(rest[ConditionHeader..], family);
        return rest[length..];
    }

    private static byte KernelFamily(AddressFamily family) => family == AddressFamily.InterNetwork ? (byte)2 : (byte)10;
}
