using System.Globalization;

namespace PooledTcp.Ports;

/// <summary>
/// Reads <see cref="KernelPortSettings"/> and keeps them for a while: an operator may change a sysctl under a running
/// process, but a dial must not pay for seven files. A file that is missing or unreadable (old kernel, sandbox) leaves
/// its value unknown.
/// </summary>
internal sealed class KernelPortSettingsReader
{
    public const string ProcDirectory = "/proc/sys/net/ipv4";

    private static readonly TimeSpan ReadAgainAfter = TimeSpan.FromSeconds(30);

    private readonly TimeProvider _time;
    private readonly string? _directory;
    private readonly Lock _lock = new();
    private volatile Reading? _last;

    /// <param name="time">Says when to read again.</param>
    /// <param name="directory">Where the files are; null for the platform's own place.</param>
    public KernelPortSettingsReader(TimeProvider time, string? directory = null)
    {
        _time = time;
        _directory = directory ?? (OperatingSystem.IsLinux() ? ProcDirectory : null);
    }

    /// <summary>Not older than 30 s.</summary>
    public KernelPortSettings Current
    {
        get
        {
            Reading? last = _last;
            if (last is not null && _time.GetElapsedTime(last.Timestamp) < ReadAgainAfter)
            {
                return last.Settings;
            }

            // A second dial that comes here meanwhile takes the old ones rather than wait for files.
            if (!_lock.TryEnter())
            {
                return last?.Settings ?? Read();
            }

            try
            {
                var reading = new Reading(Read(), _time.GetTimestamp());
                _last = reading;
                return reading.Settings;
            }
            finally
            {
                _lock.Exit();
            }
        }
    }

    /// <summary>The port list format of the kernel: <c>8080,9148,40000-40010</c>. Entries it would not write are skipped.</summary>
    public static IReadOnlyList<PortRange> ParsePortList(string text)
    {
        var ranges = new List<PortRange>();
        foreach (string part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (PortRange.TryParse(part, out PortRange range))
            {
                ranges.Add(range);
            }
        }

        return ranges;
    }

    private KernelPortSettings Read()
    {
        if (_directory is null)
        {
            return OperatingSystem.IsWindows() ? KernelPortSettings.Windows
                : OperatingSystem.IsMacOS() ? KernelPortSettings.MacOS
                : KernelPortSettings.Unknown;
        }

        return new KernelPortSettings
        {
            Origin = _directory,
            Range = ReadRange(),
            Reserved = ReadText("ip_local_reserved_ports") is string list ? ParsePortList(list) : [],
            TimeWaitReuse = ReadNumber("tcp_tw_reuse"),
            TimeWaitReuseDelay = ReadNumber("tcp_tw_reuse_delay") is int delay ? TimeSpan.FromMilliseconds(delay) : null,
            Timestamps = ReadNumber("tcp_timestamps"),
            FinTimeout = ReadNumber("tcp_fin_timeout") is int fin ? TimeSpan.FromSeconds(fin) : null,
            MaxTimeWaits = ReadNumber("tcp_max_tw_buckets"),
            // TCP_TIMEWAIT_LEN, a constant of the kernel.
            TimeWaitLength = TimeSpan.FromSeconds(60),
        };
    }

    private PortRange? ReadRange()
    {
        string[]? bounds = ReadText("ip_local_port_range")?.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return bounds is [string first, string last] && PortRange.TryParse($"{first}-{last}", out PortRange range) ? range : null;
    }

    private int? ReadNumber(string file) =>
        int.TryParse(ReadText(file), NumberStyles.AllowLeadingSign | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out int number)
            ? number
            : null;

    private string? ReadText(string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(_directory!, file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private sealed record Reading(KernelPortSettings Settings, long Timestamp);
}
