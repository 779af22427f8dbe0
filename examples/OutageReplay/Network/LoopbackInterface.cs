using System.ComponentModel;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace OutageReplay.Network;

/// <summary>What <c>ip link set lo up</c> and <c>ip addr add</c> do, by ioctl: iproute2 is not on every machine. See netdevice(7).</summary>
internal static partial class LoopbackInterface
{
    private const nuint SetFlags = 0x8914;
    private const nuint SetAddress = 0x8916;
    private const nuint SetNetmask = 0x891C;
    private const short Up = 0x1;

    public static void BringUp()
    {
        var request = new InterfaceRequest("lo");
        MemoryMarshal.Write(request.Value, Up);
        Control(SetFlags, request);
    }

    /// <summary>Adds a /32 under the label "lo:1", beside 127.0.0.1.</summary>
    public static void AddAddress(IPAddress address)
    {
        Control(SetAddress, InterfaceRequest.ForAddress("lo:1", address));
        Control(SetNetmask, InterfaceRequest.ForAddress("lo:1", IPAddress.Broadcast));
    }

    private static void Control(nuint operation, InterfaceRequest request)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        if (Ioctl(socket.SafeHandle, operation, request.Bytes) < 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Ioctl(SafeHandle descriptor, nuint operation, byte[] request);

    /// <summary>struct ifreq: 16 bytes of interface name, then 24 bytes that depend on the operation.</summary>
    private sealed class InterfaceRequest
    {
        private const int NameLength = 16;

        public InterfaceRequest(string name) => Encoding.ASCII.GetBytes(name, Bytes);

        public byte[] Bytes { get; } = new byte[40];

        public Span<byte> Value => Bytes.AsSpan(NameLength);

        public static InterfaceRequest ForAddress(string name, IPAddress address)
        {
            var request = new InterfaceRequest(name);
            new IPEndPoint(address, 0).Serialize().Buffer.Span[..16].CopyTo(request.Value);
            return request;
        }
    }
}
