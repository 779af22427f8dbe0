using System.Diagnostics;

namespace PooledTcp.Telemetry;

/// <summary>
/// Starts and ends activities without leaving a trace of itself: a rent must not change its caller's
/// <see cref="Activity.Current"/>, nor a return, and who serves a waiter is not its caller. Listeners are others' code and may
/// throw: a span must not cost a connection, nor a waiter its answer.
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

    /// <summary>A child of the caller's activity, which is not current.</summary>
    public static Activity? StartBeside(Activity? caller, string name, IEnumerable<ActivityLink>? links, DateTimeOffset start = default)
    {
        Activity? before = Activity.Current;

        // One that has ended cannot be current any more; its context still says whose child this is.
        bool lives = caller is { IsStopped: false };
        Activity.Current = lives ? caller : null;
        try
        {
            return Rents.StartActivity(name, ActivityKind.Internal, lives || caller is null ? default : caller.Context, tags: null, links, start);
        }
        catch (Exception)
        {
            return null;
        }
        finally
        {
            Activity.Current = before;
        }
    }

    /// <summary>Ends an activity that is not current.</summary>
    public static void StopBeside(Activity span)
    {
        Activity? before = Activity.Current;
        Stop(span);
        Activity.Current = before;
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

    public static void Fail(Activity span, string errorType)
    {
        span.SetTag(Attributes.ErrorType, errorType);
        span.SetStatus(ActivityStatusCode.Error);
    }
}
