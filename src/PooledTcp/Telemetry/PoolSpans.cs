using System.Diagnostics;

namespace PooledTcp.Telemetry;

/// <summary>
/// Starts and ends activities. Listeners are others' code and may throw: a span must not cost a connection, nor a waiter its
/// answer.
/// </summary>
internal static class PoolSpans
{
    /// <summary>What callers ask for: waits and leases, in their own traces.</summary>
    public static ActivitySource Rents { get; } = new("PooledTcp", PoolInstruments.Version);

    /// <summary>
    /// What becomes of connections: dials, probes, closes. Experimental by name, as those of the runtime are: one trace each,
    /// which is more than many want.
    /// </summary>
    public static ActivitySource Connections { get; } = new("Experimental.PooledTcp.Connections", PoolInstruments.Version);

    /// <summary>
    /// A child of the caller's activity, which is not current, before or after. It knows its parent by context only: a lease's
    /// span is held by its connection, and through the caller's activity the pool could reach, and keep alive, the very lease
    /// that was lost.
    /// </summary>
    public static Activity? StartBeside(Activity? caller, string name, IEnumerable<ActivityLink>? links, DateTimeOffset start = default)
    {
        using (new CurrentActivity(null))
        {
            try
            {
                return Rents.StartActivity(name, ActivityKind.Internal, caller?.Context ?? default, tags: null, links, start);
            }
            catch (Exception)
            {
                return null;
            }
        }
    }

    /// <summary>Ends an activity that is not current.</summary>
    public static void StopBeside(Activity span)
    {
        using (new CurrentActivity(null))
        {
            Stop(span);
        }
    }

    /// <summary>
    /// The root of a trace of its own. It is current from here on, so that name lookup, connect and TLS nest under it: call it
    /// in an async method, whose end restores what was.
    /// </summary>
    public static Activity? StartRoot(string name, IEnumerable<ActivityLink>? links)
    {
        if (!Connections.HasListeners())
        {
            return null;
        }

        Activity.Current = null;
        try
        {
            return Connections.StartActivity(name, ActivityKind.Internal, parentContext: default, tags: null, links);
        }
        catch (Exception)
        {
            // It may have been current already.
            Activity.Current = null;
            return null;
        }
    }

    public static void Stop(Activity span)
    {
        try
        {
            span.Stop();
        }
        catch (Exception)
        {
            // There is nobody to tell.
        }
    }
}
