using System.Diagnostics;
using PooledTcp.Configuration;

namespace PooledTcp.Health;

/// <summary>
/// The circuit breaker of one address. A state machine and nothing else: no clock, no timer, no lock; the pool's gate guards
/// it and the caller brings the time.
/// </summary>
/// <remarks>
/// <para>
/// Closed; after FailuresToOpen failed dials in a row open; after a pause half-open, which lets one dial through, the probe;
/// that one closes it, or opens it again for twice as long. A dial that began before the breaker opened may still close it,
/// but never prolongs the pause: four dials that time out together are one outage.
/// </para>
/// <para>
/// Beside that it remembers, closed, when to prefer other addresses: for a pause after each dial that failed here or was
/// overtaken by another address (<see cref="IsDoubtful"/>). That never opens it.
/// </para>
/// </remarks>
internal sealed class Breaker(Func<double> nextRandom)
{
    /// <summary>The first pause: a restarting server is back about then. Doubled each time, up to MaxBackoff.</summary>
    public static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(100);

    /// <summary>How much of a pause chance may take off.</summary>
    private const double Jitter = 0.5;

    // 2^30 x 100 ms is three years: any cap is reached before.
    private const int MaxDoublings = 30;

    private int _doublings;
    private bool _isProbed;

    // The probe began before the pause was over.
    private bool _isEarly;

    public BreakerState State { get; private set; }

    /// <summary>Failed dials since the last good one.</summary>
    public int Failures { get; private set; }

    /// <summary>Open: when the next probe may start. Closed and doubtful: until when others come first.</summary>
    public TimeSpan RetryAt { get; private set; }

    /// <summary>Closed, but the last dial went wrong a moment ago: other addresses come first.</summary>
    public bool IsDoubtful { get; private set; }

    /// <summary>A dial may start now.</summary>
    public bool LetsThrough => State == BreakerState.Closed || IsProbeDue;

    /// <summary>The next dial would be the probe.</summary>
    public bool IsProbeDue => State == BreakerState.HalfOpen && !_isProbed;

    /// <summary>Lets a pause end that is over.</summary>
    public void Advance(TimeSpan now)
    {
        if (now < RetryAt)
        {
            return;
        }

        IsDoubtful = false;
        _isEarly = false;
        if (State == BreakerState.Open)
        {
            State = BreakerState.HalfOpen;
            _isProbed = false;
        }
    }

    /// <summary>MaxBackoff was lowered: a pause that is running ends no later than a new one would.</summary>
    public void Shorten(TimeSpan now, TimeSpan maxBackoff)
    {
        if (RetryAt > now + maxBackoff)
        {
            RetryAt = now + maxBackoff;
        }
    }

    /// <summary>A dial starts. True when it is the probe, which its end must then tell.</summary>
    public bool Begin()
    {
        if (!IsProbeDue)
        {
            return false;
        }

        _isProbed = true;
        return true;
    }

    /// <summary>
    /// A dial may come by here after it failed where the probe was due, and that is then the probe here as well: the pause
    /// ends with it. If it never comes by, the pause goes on (<see cref="Released"/>).
    /// </summary>
    public void BeginEarly()
    {
        Debug.Assert(State == BreakerState.Open, "Only an open one has a pause to end.");
        State = BreakerState.HalfOpen;
        _isProbed = true;
        _isEarly = true;
    }

    /// <summary>The dial succeeded, handshake included.</summary>
    public void Succeeded()
    {
        State = BreakerState.Closed;
        Failures = 0;
        IsDoubtful = false;
        _doublings = 0;
        _isProbed = false;
    }

    /// <summary>The dial failed, and it was not this host's fault.</summary>
    public void Failed(bool isProbe, TimeSpan now, HealthSettings settings)
    {
        Failures++;
        if (State == BreakerState.Closed && Failures >= settings.FailuresToOpen)
        {
            // The pauses of a closed breaker only chose between addresses: these begin anew.
            _doublings = 0;
            Open(now, settings);
        }
        else
        {
            Missed(isProbe, now, settings);
        }
    }

    /// <summary>
    /// The dial tells nothing about the server: it was overtaken by another address, or this host could not dial. Others come
    /// first for a while; a probe has to be repeated.
    /// </summary>
    public void Missed(bool isProbe, TimeSpan now, HealthSettings settings)
    {
        if (State == BreakerState.Closed)
        {
            IsDoubtful = true;
            Pause(now, settings);
        }
        else if (State == BreakerState.HalfOpen && isProbe)
        {
            Open(now, settings);
        }
    }

    /// <summary>The dial was given up by the pool, or never came to this address: as if it had not been.</summary>
    public void Released(bool isProbe)
    {
        if (State == BreakerState.HalfOpen && isProbe)
        {
            _isProbed = false;
            State = _isEarly ? BreakerState.Open : BreakerState.HalfOpen;
        }
    }

    private void Open(TimeSpan now, HealthSettings settings)
    {
        State = BreakerState.Open;
        IsDoubtful = false;
        _isProbed = false;
        _isEarly = false;
        Pause(now, settings);
    }

    private void Pause(TimeSpan now, HealthSettings settings)
    {
        TimeSpan longest = FirstBackoff * (1L << _doublings);
        if (longest > settings.MaxBackoff)
        {
            longest = settings.MaxBackoff;
        }

        _doublings = Math.Min(_doublings + 1, MaxDoublings);
        RetryAt = now + (longest * (1 - (Jitter * nextRandom())));
    }
}
