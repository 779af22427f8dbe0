using System.Diagnostics;
using System.Runtime.InteropServices;
using HdrHistogram;

namespace PooledTcp.LoadTest.Statistics;

/// <summary>One caller of a <see cref="Slice"/>: what its loop asks and tells. Neither costs more than a few nanoseconds, unless each request is timed.</summary>
internal sealed class Worker(int number, StopFlag stop, bool timed)
{
    /// <summary>Histograms count in tenths of a microsecond, up to ten seconds, to two digits: 20 KB for each worker.</summary>
    private const int TicksPerSecond = 10_000_000;

    private PaddedCount _requests;
    private long _last;

    /// <summary>From 0.</summary>
    public int Number { get; } = number;

    /// <summary>How long each request took; null when that is not asked for.</summary>
    public LongHistogram? Latencies { get; } = timed ? NewHistogram() : null;

    public bool Goes => !stop.IsSet;

    public long Requests => Volatile.Read(ref _requests.Value);

    public static LongHistogram NewHistogram() => new(1, 10L * TicksPerSecond, 2);

    /// <summary>So many requests have been answered since the last call.</summary>
    public void Done(int requests = 1)
    {
        Volatile.Write(ref _requests.Value, _requests.Value + requests);
        if (Latencies is { } latencies)
        {
            long now = Stopwatch.GetTimestamp();
            if (_last != 0)
            {
                latencies.RecordValue(Math.Clamp((now - _last) / (Stopwatch.Frequency / TicksPerSecond), 1, latencies.HighestTrackableValue));
            }

            _last = now;
        }
    }

    /// <summary>Alone on its cache lines: what is counted here must not slow another caller.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct PaddedCount
    {
        [FieldOffset(128)]
        public long Value;
    }
}

/// <summary>Read by all workers of a slice, written once.</summary>
internal sealed class StopFlag
{
    private volatile bool _isSet;

    public bool IsSet => _isSet;

    public void Set() => _isSet = true;
}
