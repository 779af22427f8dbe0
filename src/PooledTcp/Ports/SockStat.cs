using System.Buffers.Text;

namespace PooledTcp.Ports;

/// <summary>
/// The host's totals from <c>/proc/net/sockstat</c>: 8 microseconds however many sockets there are (tcp-facts section 5),
/// where a dump walks the whole table. Counts orphans in FIN_WAIT2 as TIME_WAIT too.
/// </summary>
internal static class SockStat
{
    public const string ProcFile = "/proc/net/sockstat";

    /// <summary>TIME_WAITs of this network namespace, IPv4 and IPv6 together; null where the file is missing.</summary>
    public static int? ReadTimeWaits()
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        Span<byte> buffer = stackalloc byte[1024];
        try
        {
            using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(ProcFile);
            return ParseTimeWaits(buffer[..RandomAccess.Read(file, buffer, 0)]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>From the line <c>TCP: inuse 1 orphan 0 tw 1167 alloc 1 mem 0</c>.</summary>
    public static int? ParseTimeWaits(ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> field = " tw "u8;
        int line = text.IndexOf("TCP:"u8);
        int at = line < 0 ? -1 : text[line..].IndexOf(field);
        return at >= 0 && Utf8Parser.TryParse(text[(line + at + field.Length)..], out int count, out _) ? count : null;
    }
}
