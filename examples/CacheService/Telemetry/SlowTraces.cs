using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using OpenTelemetry;

namespace CacheService.Telemetry;

/// <summary>
/// Exports the traces of slow requests, whole, and at most one a second, so that a console stays readable under any load. What a
/// span is worth shows only when its request ends, so until then its spans are kept with it. Connections have traces of their
/// own; their setups are few and worth seeing, and always exported.
/// </summary>
internal sealed class SlowTraces(BaseExporter<Activity> exporter, TimeSpan slowerThan, TimeProvider time) : SimpleActivityExportProcessor(exporter)
{
    // The pool's name of the operation; the span's display name has the address in it.
    private const string ConnectionSetup = "PooledTcp.ConnectionSetup";

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    // Weak: what became of a request that never ends is nobody's business here.
    private readonly ConditionalWeakTable<Activity, ConcurrentQueue<Activity>> _spans = [];
    private readonly Lock _lock = new();
    private long? _lastExport;

    public override void OnEnd(Activity data)
    {
        Activity root = data;
        while (root.Parent is { } parent)
        {
            root = parent;
        }

        if (root.Kind != ActivityKind.Server)
        {
            if (root.OperationName == ConnectionSetup || root.Duration >= slowerThan)
            {
                base.OnEnd(data);
            }

            return;
        }

        ConcurrentQueue<Activity> spans = _spans.GetOrCreateValue(root);
        spans.Enqueue(data);
        if (ReferenceEquals(root, data) && data.Duration >= slowerThan && IsTime())
        {
            foreach (Activity span in spans)
            {
                base.OnEnd(span);
            }
        }
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
