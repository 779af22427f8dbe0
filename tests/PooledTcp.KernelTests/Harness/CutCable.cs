using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace PooledTcp.KernelTests.Harness;

/// <summary>
/// Makes one end of a connection deaf: a socket filter (<c>socket(7)</c>, SO_ATTACH_FILTER) that drops every segment before
/// TCP sees it, so nothing is acknowledged, and a FIN or an RST is lost like everything else. What nft would do by port,
/// for one connection and without a tool.
/// </summary>
internal static class CutCable
{
    private const int LevelSocket = 1;
    private const int AttachFilter = 26;
    private const int DetachFilter = 27;

    /// <summary>From now on nothing reaches this end.</summary>
    public static unsafe void To(Socket socket)
    {
        // struct sock_filter { u16 code; u8 jt, jf; u32 k }: BPF_RET | BPF_K with 0, keep none of the bytes.
        ulong program = 0x06;

        // struct sock_fprog { u16 length; struct sock_filter *filter }
        Span<byte> option = stackalloc byte[2 * IntPtr.Size];
        option.Clear();
        MemoryMarshal.Write(option, (ushort)1);
        MemoryMarshal.Write(option[IntPtr.Size..], (nint)(&program));
        socket.SetRawSocketOption(LevelSocket, AttachFilter, option);
    }

    public static void Mend(Socket socket) => socket.SetRawSocketOption(LevelSocket, DetachFilter, new byte[4]);
}
