using System.Diagnostics;
using OpenTelemetry;

namespace CacheService.Telemetry;

/// <summary>
/// Exports the traces of slow requests, whole, and at most one a second, so that a console stays readable under any load. What a
/// span is worth shows only when its request ends, so until then its spans are kept. Connections have traces of their own; their
/// setups are few and worth seeing, and always exported.
/// </summary>
/// <remarks>
/// Spans find their request by ids: those of the pool know their parent by its context only, and <see cref="Activity.Parent"/> is
/// null there.
/// </remarks>
internal sealed class SlowTraces(BaseExporter<Activity> exporter, TimeSpan slowerThan, TimeProvider time) : SimpleActivityExportProcessor(exporter)
{
    // The pool's name of the operation; the span's display name has the address in it.
    private const string ConnectionSetup = "PooledTcp.ConnectionSetup";

    // A span that outlives its request, or whose request never ends, waits for nothing: beyond this the oldest traces go.
    private const int MaxSpans = 10_000;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<ActivityTraceId, LinkedListNode<List<Activity>>> _traces = [];
    private readonly LinkedList<List<Activity>> _oldestFirst = [];
    private int _kept;
    private long? _lastExport;

    /// <summary>Spans that wait for the end of their request, or of whatever began their trace here.</summary>
    public int Kept
    {
        get
        {
            lock (_lock)
            {
                return _kept;
            }
        }
    }

    public override void OnEnd(Activity data)
    {
        if (data.ParentSpanId != default && !data.HasRemoteParent)
        {
            Keep(data);
            return;
        }

        List<Activity> spans = Take(data);
        if (data.OperationName == ConnectionSetup || (data.Duration >= slowerThan && IsTime()))
        {
            foreach (Activity span in spans)
            {
                base.OnEnd(span);
            }

            base.OnEnd(data);
        }
    }

    private void Keep(Activity span)
    {
        lock (_lock)
        {
            if (!_traces.TryGetValue(span.TraceId, out LinkedListNode<List<Activity>>? trace))
            {
                trace = _oldestFirst.AddLast([]);
                _traces.Add(span.TraceId, trace);
            }

            trace.Value.Add(span);
            _kept++;
            while (_kept > MaxSpans)
            {
                Forget(_oldestFirst.First!);
            }
        }
    }

    /// <summary>The spans below <paramref name="root"/>. One trace may have several roots here, side by side: a client's requests.</summary>
    private List<Activity> Take(Activity root)
    {
        lock (_lock)
        {
            if (!_traces.TryGetValue(root.TraceId, out LinkedListNode<List<Activity>>? trace))
            {
                return [];
            }

            // Backwards, since a child ends before its parent.
            HashSet<ActivitySpanId> above = [root.SpanId];
            var taken = new List<Activity>();
            var left = new List<Activity>();
            foreach (Activity span in Enumerable.Reverse(trace.Value))
            {
                if (above.Contains(span.ParentSpanId))
                {
                    above.Add(span.SpanId);
                    taken.Add(span);
                }
                else
                {
                    left.Add(span);
                }
            }

            _kept -= taken.Count;
            trace.Value.Clear();
            trace.Value.AddRange(Enumerable.Reverse(left));
            if (left.Count == 0)
            {
                _oldestFirst.Remove(trace);
                _traces.Remove(root.TraceId);
            }

            taken.Reverse();
            return taken;
        }
    }

    private void Forget(LinkedListNode<List<Activity>> trace)
    {
        _kept -= trace.Value.Count;
        _traces.Remove(trace.Value[0].TraceId);
        _oldestFirst.Remove(trace);
    }

    private bool IsTime()
    {
        lock (_lock)
        {
            long now = time.GetTimestamp();
            if (_lastExport is { } last && time.GetElapsedTime(last, now) < Pause)
            {
                return false;
            }

            _lastExport = now;
            return true;
        }
    }
}
