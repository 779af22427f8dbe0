using System.Buffers;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Errors = PooledTcp.Ports.SockDiagResult.Errors;

namespace PooledTcp.Ports;

/// <summary>
/// Asks the kernel about TCP sockets by netlink (<c>sock_diag(7)</c>): no privilege needed, a tenth of the time of
/// <c>/proc/net/tcp</c>, and nothing allocated per socket (tcp-facts section 5). Never throws: what goes wrong is in the
/// result.
/// </summary>
internal static partial class SockDiag
{
    // The kernel fills at most this much per read, however much is offered.
    private const int BufferLength = 32 * 1024;

    // Netlink answers within the call; only an emulated kernel could leave us waiting, and never for ever.
    private const int PatienceMilliseconds = 1000;

    private const int FamilyNetlink = 16;
    private const int SocketRawCloseOnExec = 3 | 0x80000;
    private const int ProtocolSockDiag = 4;
    private const int FlagTruncate = 0x20;
    private const short PollIn = 1;

    private const ushort MessageError = 2;
    private const ushort MessageDone = 3;

    /// <summary>Visits the sockets of both families, or of the one the filter's addresses belong to.</summary>
    public static SockDiagResult Dump<TVisitor>(TcpStates states, in SockDiagFilter filter, ref TVisitor visitor)
        where TVisitor : ISockDiagVisitor, allows ref struct
    {
        bool onlyIPv6 = IsIPv6(filter.Local) || IsIPv6(filter.Remote);
        SockDiagResult result = onlyIPv6 ? SockDiagResult.Ok : Dump(AddressFamily.InterNetwork, states, filter, ref visitor);

        // Always: dual-mode sockets are in the IPv6 table alone and block IPv4 connects (tcp-facts section 3).
        return result.IsOk ? Dump(AddressFamily.InterNetworkV6, states, filter, ref visitor) : result;
    }

    /// <summary>Visits the sockets of one family's table.</summary>
    public static SockDiagResult Dump<TVisitor>(AddressFamily family, TcpStates states, in SockDiagFilter filter, ref TVisitor visitor)
        where TVisitor : ISockDiagVisitor, allows ref struct
    {
        Span<byte> request = stackalloc byte[SockDiagRequest.MaxLength];
        int length = SockDiagRequest.WriteDump(request, family, states, filter);
        return Ask(request[..length], ref visitor);
    }

    /// <summary>The socket of exactly this 4-tuple, in whatever state, TIME_WAIT included.</summary>
    public static SockDiagResult Find(AddressKey local, int localPort, AddressKey remote, int remotePort, out SockDiagSocket socket)
    {
        Span<byte> request = stackalloc byte[SockDiagRequest.MaxLength];
        int length = SockDiagRequest.WriteLookUp(request, local, localPort, remote, remotePort);
        var finder = new Finder(remote, remotePort);
        SockDiagResult result = Ask(request[..length], ref finder);
        socket = finder.Socket;
        return finder.Found ? result
            : result.IsOk || result.Errno == Errors.NoEntry ? new SockDiagResult(SockDiagStatus.NotFound, result.Errno)
            : result;
    }

    private static bool IsIPv6(AddressKey address) => !address.IsAny && !address.IsIPv4;

    private static SockDiagResult Ask<TVisitor>(scoped ReadOnlySpan<byte> request, ref TVisitor visitor)
        where TVisitor : ISockDiagVisitor, allows ref struct
    {
        if (!OperatingSystem.IsLinux())
        {
            return new SockDiagResult(SockDiagStatus.NotSupported, 0);
        }

        int descriptor = OpenSocket(FamilyNetlink, SocketRawCloseOnExec, ProtocolSockDiag);
        if (descriptor < 0)
        {
            return SockDiagResult.FromErrno(Marshal.GetLastPInvokeError());
        }

        using var socket = new SafeFileHandle(descriptor, ownsHandle: true);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferLength);
        try
        {
            // Without an address, a netlink socket speaks to the kernel.
            return Send(socket, request, (nuint)request.Length, 0) < 0
                ? SockDiagResult.FromErrno(Marshal.GetLastPInvokeError())
                : ReadAnswers(socket, buffer, IsDump(request), ref visitor);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool IsDump(ReadOnlySpan<byte> request) => (MemoryMarshal.Read<ushort>(request[6..]) & 0x300) != 0;

    private static SockDiagResult ReadAnswers<TVisitor>(SafeFileHandle socket, byte[] buffer, bool isDump, ref TVisitor visitor)
        where TVisitor : ISockDiagVisitor, allows ref struct
    {
        while (true)
        {
            SockDiagResult received = Receive(socket, buffer, out int length);
            if (!received.IsOk)
            {
                return received;
            }

            ReadOnlySpan<byte> rest = buffer.AsSpan(0, length);
            while (rest.Length >= SockDiagRequest.HeaderLength)
            {
                int messageLength = (int)MemoryMarshal.Read<uint>(rest);
                if (messageLength < SockDiagRequest.HeaderLength || messageLength > rest.Length)
                {
                    return new SockDiagResult(SockDiagStatus.Failed, 0);
                }

                ReadOnlySpan<byte> payload = rest[SockDiagRequest.HeaderLength..messageLength];
                switch (MemoryMarshal.Read<ushort>(rest[4..]))
                {
                    case MessageError:
                    case MessageDone:
                        // Both carry a negated errno; a dump that broke off says so in its last message.
                        return payload.Length >= 4 ? SockDiagResult.FromErrno(-MemoryMarshal.Read<int>(payload)) : SockDiagResult.Ok;
                    default:
                        if (payload.Length >= SockDiagEntry.Length)
                        {
                            visitor.Visit(new SockDiagEntry(payload));
                        }

                        break;
                }

                if (!isDump)
                {
                    return SockDiagResult.Ok;
                }

                // Messages are aligned to 4 bytes; the last one need not be padded.
                rest = rest[Math.Min(rest.Length, (messageLength + 3) & ~3)..];
            }
        }
    }

    private static SockDiagResult Receive(SafeFileHandle socket, byte[] buffer, out int length)
    {
        length = 0;
        while (true)
        {
            var wait = new PollDescriptor { Descriptor = (int)socket.DangerousGetHandle(), Events = PollIn };
            int ready = Poll(ref wait, 1, PatienceMilliseconds);
            if (ready == 0)
            {
                return new SockDiagResult(SockDiagStatus.Failed, Errors.TimedOut);
            }

            nint received = ready < 0 ? -1 : Receive(socket, buffer, (nuint)buffer.Length, FlagTruncate);
            if (received >= 0)
            {
                // With this flag the kernel tells the true length: more than the buffer is a part we have lost.
                length = (int)received;
                return length > 0 && length <= buffer.Length ? SockDiagResult.Ok : new SockDiagResult(SockDiagStatus.Failed, 0);
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno != Errors.Interrupted)
            {
                return SockDiagResult.FromErrno(errno);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int OpenSocket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint Send(SafeFileHandle socket, ReadOnlySpan<byte> buffer, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint Receive(SafeFileHandle socket, Span<byte> buffer, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollDescriptor descriptors, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    /// <summary>The kernel falls back to a listener on the local port when no connection has the tuple: that is not it.</summary>
    private struct Finder(AddressKey remote, int remotePort) : ISockDiagVisitor
    {
        public bool Found { get; private set; }

        public SockDiagSocket Socket { get; private set; }

        public void Visit(SockDiagEntry entry)
        {
            if (entry.RemotePort == remotePort && entry.Remote == remote)
            {
                Found = true;
                Socket = new SockDiagSocket(entry.State, entry.TimeWaitLeft, entry.UserId, entry.Inode);
            }
        }
    }
}
