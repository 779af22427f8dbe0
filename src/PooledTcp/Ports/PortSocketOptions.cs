using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace PooledTcp.Ports;

/// <summary>
/// The two Linux options of the planner. Both are at SOL_IP whatever the socket's family: at SOL_IPV6 the number 24 is
/// refused and 51 silently means something else (measured on 6.18).
/// </summary>
internal static class PortSocketOptions
{
    private const int ProtocolIP = 0;
    private const int OptionBindAddressNoPort = 24;
    private const int OptionLocalPortRange = 51;

    public static void SetPortRange(Socket socket, PortRange range) =>
        SetNumber(socket, OptionLocalPortRange, ((uint)range.Last << 16) | (uint)range.First);

    /// <summary>Back to the system's range: a value every kernel that knows the option accepts.</summary>
    public static void ClearPortRange(Socket socket) => SetNumber(socket, OptionLocalPortRange, 0);

    public static void SetBindAddressNoPort(Socket socket) => SetNumber(socket, OptionBindAddressNoPort, 1);

    private static void SetNumber(Socket socket, int option, uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        MemoryMarshal.Write(bytes, value);
        socket.SetRawSocketOption(ProtocolIP, option, bytes);
    }
}
