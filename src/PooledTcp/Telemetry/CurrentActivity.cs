using System.Diagnostics;

namespace PooledTcp.Telemetry;

/// <summary>
/// Another <see cref="Activity.Current"/> for a while. A rent must not change its caller's, nor a return; and who serves a
/// waiter is not its caller.
/// </summary>
/// <remarks>
/// What was is restored with its execution context. The property itself refuses an activity that has stopped, which is what
/// is current in work that outlives its request; somebody else's would stay in its place, with its baggage.
/// </remarks>
internal readonly ref struct CurrentActivity
{
    private readonly Activity? _before;
    private readonly ExecutionContext? _context;

    /// <param name="wanted">None instead, when it has stopped.</param>
    public CurrentActivity(Activity? wanted)
    {
        _before = Activity.Current;
        _context = ExecutionContext.Capture();
        Set(wanted);
    }

    public void Dispose()
    {
        if (_context is not null)
        {
            ExecutionContext.Restore(_context);
        }
        else
        {
            // Its flow is suppressed, so the context is not to be had. No activity is better than another's.
            Set(_before);
        }
    }

    private static void Set(Activity? wanted)
    {
        Activity.Current = wanted is { IsStopped: false } ? wanted : null;
        if (!ReferenceEquals(Activity.Current, wanted))
        {
            // It stopped just now, and what was current stayed.
            Activity.Current = null;
        }
    }
}
