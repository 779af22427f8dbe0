using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace PooledTcp.Health;

/// <summary>
/// One epoll set and the descriptor that wakes its reader (epoll(7), eventfd(2)). Linux only. The handles are reference
/// counted, so a set that ends while another thread adds to it is never mistaken for whatever gets its number next.
/// </summary>
internal sealed partial class EpollSet : IDisposable
{
    /// <summary>The tag of an event that somebody raised by <see cref="Wake"/>. No connection has it.</summary>
    public const ulong WakeTag = 0;

    private const int EventsPerRead = 64;
    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const int OperationAdd = 1;
    private const uint EventIn = 0x001;
    private const uint EventPeerHangUp = 0x2000;
    private const uint EdgeTriggered = 1u << 31;
    private const int Interrupted = 4;

    // struct epoll_event { uint32_t events; uint64_t data; }: packed on x86-64 only, where the kernel shares it with 32-bit
    // programs; on the others the data stands at its natural alignment.
    private static readonly int DataOffset = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86 ? 4 : 8;
    private static readonly int EventSize = DataOffset + sizeof(ulong);

    private readonly SafeFileHandle _epoll;
    private readonly SafeFileHandle _wake;
    private readonly byte[] _events = new byte[EventsPerRead * EventSize];

    private EpollSet(SafeFileHandle epoll, SafeFileHandle wake)
    {
        _epoll = epoll;
        _wake = wake;
    }

    /// <summary>For tests, which break it.</summary>
    internal SafeHandle Descriptor => _epoll;

    /// <summary>Null when the system gives no descriptor for it (EMFILE, a sandbox without epoll).</summary>
    public static EpollSet? TryOpen()
    {
        SafeFileHandle epoll = new(EpollCreate(CloseOnExec), ownsHandle: true);
        SafeFileHandle wake = new(EventFd(0, CloseOnExec | NonBlocking), ownsHandle: true);
        EpollSet set = new(epoll, wake);
        if (!epoll.IsInvalid && !wake.IsInvalid && set.TryAdd(wake, EventIn, WakeTag))
        {
            return set;
        }

        set.Dispose();
        return null;
    }

    /// <summary>
    /// Adds a socket for its peer's FIN or RST and nothing else: data never wakes the reader. The kernel looks once at the
    /// time of the call, so one that came before is reported, too.
    /// </summary>
    public bool TryAddSocket(SafeHandle socket, ulong tag) => TryAdd(socket, EventPeerHangUp | EdgeTriggered, tag);

    /// <summary>Ends a <see cref="TryWait"/>, now or the next one.</summary>
    public void Wake()
    {
        try
        {
            // It cannot block (EFD_NONBLOCK), and fails only when 2^64 - 1 wake-ups are pending already.
            _ = Write(_wake, 1, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // The reader has ended by itself.
        }
    }

    /// <summary>Blocks until something happens, and gives the tags of what did. For one reader. False when the set is broken.</summary>
    public bool TryWait(Span<ulong> tags, out int count)
    {
        int found;
        do
        {
            found = EpollWait(_epoll, _events, EventsPerRead, -1);
        }
        while (found < 0 && Marshal.GetLastPInvokeError() == Interrupted);

        count = Math.Max(found, 0);
        for (int i = 0; i < count; i++)
        {
            tags[i] = MemoryMarshal.Read<ulong>(_events.AsSpan((i * EventSize) + DataOffset));
        }

        return found >= 0;
    }

    /// <summary>The most tags that one <see cref="TryWait"/> gives.</summary>
    public static int MostTags => EventsPerRead;

    public void Dispose()
    {
        _epoll.Dispose();
        _wake.Dispose();
    }

    private bool TryAdd(SafeHandle handle, uint events, ulong tag)
    {
        Span<byte> settings = stackalloc byte[EventSize];
        settings.Clear();
        MemoryMarshal.Write(settings, in events);
        MemoryMarshal.Write(settings[DataOffset..], in tag);
        try
        {
            return EpollControl(_epoll, OperationAdd, handle, settings) == 0;
        }
        catch (ObjectDisposedException)
        {
            // The socket, or this set, was closed meanwhile.
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int EpollControl(SafeHandle epoll, int operation, SafeHandle descriptor, ReadOnlySpan<byte> settings);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int EpollWait(SafeHandle epoll, Span<byte> events, int most, int timeout);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int EventFd(uint value, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeHandle descriptor, in ulong value, nint length);
}
