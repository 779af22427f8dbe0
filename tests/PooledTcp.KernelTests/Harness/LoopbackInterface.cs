using System.ComponentModel;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace PooledTcp.KernelTests.Harness;

/// <summary>What <c>ip link set lo up</c> and <c>ip addr add</c> do, by ioctl: iproute2 is not on every machine. See netdevice(7).</summary>
internal static partial class LoopbackInterface
{
    private const nuint SetFlags = 0x8914;
    private const nuint SetAddress = 0x8916;
    private const nuint SetNetmask = 0x891C;
    private const short Up = 0x1;

    public static void BringUp()
    {
        byte[] request = Request("lo");
        MemoryMarshal.Write(ValueOf(request), Up);
        Control(SetFlags, request);
    }

    /// <summary>Adds a /32 under a label of its own, beside 127.0.0.1.</summary>
    public static void AddAddress(string label, IPAddress address)
    {
        Control(SetAddress, Request(label, address));
        Control(SetNetmask, Request(label, IPAddress.Broadcast));
    }

    // struct ifreq: 16 bytes of interface name, then 24 bytes that depend on the operation.
    private static byte[] Request(string label, IPAddress? address = null)
    {
        var request = new byte[40];
        Encoding.ASCII.GetBytes(label, request);
        if (address is not null)
        {
            new IPEndPoint(address, 0).Serialize().Buffer.Span[..16].CopyTo(ValueOf(request));
        }

        return request;
    }

    private static Span<byte> ValueOf(byte[] request) => request.AsSpan(16);

    private static void Control(nuint operation, byte[] request)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        if (Ioctl(socket.SafeHandle, operation, request) < 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Ioctl(SafeHandle descriptor, nuint operation, byte[] request);
}
