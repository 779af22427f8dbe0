using System.Diagnostics;
using System.Diagnostics.Metrics;
using PooledTcp.Configuration;

namespace PooledTcp.Telemetry;

/// <summary>
/// What one pool records. Nobody listening costs a branch or two; nothing here is called under a lock, since listeners and
/// exporters are others' code.
/// </summary>
internal sealed class PoolTelemetry
{
    // Boxed once: a tag's value is an object.
    private static readonly object True = true;
    private static readonly object False = false;

    private readonly ClientTelemetry _client;
    private readonly PoolInstruments _instruments;
    private readonly IPoolGauges _gauges;
    private readonly Histogram<double> _waitTime;
    private readonly Histogram<double> _useTime;
    private readonly string _pool;
    private readonly bool _isAdHoc;
    private volatile PoolNames _names;

    public PoolTelemetry(ClientTelemetry client, IPoolGauges gauges, string pool, bool isAdHoc, EndpointAddress address)
    {
        _client = client;
        _instruments = client.Instruments;
        _gauges = gauges;
        _waitTime = _instruments.WaitTime;
        _useTime = _instruments.UseTime;
        _isAdHoc = isAdHoc;

        // Keys are unbounded, and a partition may name a tenant.
        _pool = isAdHoc ? PoolTags.AdHoc : pool;
        _names = Name(address);
    }

    public PoolTags Tags => _names.Tags;

    /// <summary>Somebody wants to know of a rent that found an idle connection.</summary>
    public bool ObservesRents => _waitTime.Enabled || _useTime.Enabled || (TracesLeases && PoolSpans.Rents.HasListeners());

    /// <summary>Leases get a span of their own, if anybody listens.</summary>
    public bool TracesLeases => _client.Settings.LeaseSpans;

    /// <summary>Somebody wants to know how long a probe or a reset takes.</summary>
    public bool TimesHealthChecks => _instruments.HealthCheckDuration.Enabled;

    /// <summary>Somebody wants a span of each rent that waits.</summary>
    public static bool TracesWaits => PoolSpans.Rents.HasListeners();

    /// <summary>The address may have changed, or whether metrics tell it.</summary>
    public void Rename(EndpointAddress address) => _names = Name(address);

    /// <summary>A rent found an idle connection. Returns its lease's span, if there is to be one.</summary>
    public Activity? RentedAtOnce(in ConnectionFacts connection)
    {
        RecordWait(TimeSpan.Zero, connection.Reused, error: null);
        return StartLease(Activity.Current, connection);
    }

    /// <summary>A rent was refused: nothing was waited for.</summary>
    public void RentRefused(Exception refusal)
    {
        if (_instruments.WaitTime.Enabled)
        {
            RecordWait(TimeSpan.Zero, reused: null, ErrorTypes.Of(refusal));
        }
    }

    /// <summary>A waiter was served. Returns its lease's span, if there is to be one.</summary>
    public Activity? WaitServed(in WaitFacts wait, TimeSpan waited, in ConnectionFacts connection)
    {
        RecordWaitOf(wait, waited, connection.Reused, error: null);
        if (StartWait(wait, connection.Links) is { } span)
        {
            connection.Describe(span);
            span.SetTag(Attributes.ConnectionReused, connection.Reused ? True : False);
            EndWait(span, wait, waited);
        }

        return StartLease(wait.Caller, connection);
    }

    public void WaitFailed(in WaitFacts wait, TimeSpan waited, Exception failure)
    {
        string error = ErrorTypes.Of(failure);
        RecordWaitOf(wait, waited, reused: null, error);
        if (StartWait(wait, links: null) is { } span)
        {
            span.SetTag(Attributes.ErrorType, error);
            span.SetStatus(ActivityStatusCode.Error);
            EndWait(span, wait, waited);
        }
    }

    public void RentsTimedOut(int count)
    {
        if (_instruments.Timeouts.Enabled)
        {
            Add(_instruments.Timeouts, count, Tagged());
        }
    }

    /// <summary>A lease has ended, on its caller's stack.</summary>
    public void Returned(TimeSpan used)
    {
        if (_instruments.UseTime.Enabled)
        {
            Record(_instruments.UseTime, used.TotalSeconds, Tagged());
        }
    }

    /// <inheritdoc cref="PoolSpans.StartRoot"/>
    public Activity? StartSetup()
    {
        Activity? span = PoolSpans.StartRoot("PooledTcp.ConnectionSetup", links: null);
        if (span is not null)
        {
            PoolNames names = _names;
            names.Describe(span, names.Setup);
        }

        return span;
    }

    /// <summary>
    /// A dial has ended; its span, if any, is current, so that the exemplar leads to it. One that the pool called off has
    /// neither succeeded nor failed.
    /// </summary>
    public void SetupEnded(Activity? span, TimeSpan took, in ConnectionFacts? connection, string? error, bool isCalledOff)
    {
        if (_instruments.CreateTime.Enabled && !isCalledOff)
        {
            Record(_instruments.CreateTime, took.TotalSeconds, Tagged(error));
        }

        if (span is not null)
        {
            connection?.Describe(span);
            End(span, error, isCalledOff);
        }
    }

    public void FoundNoPort()
    {
        if (_instruments.PortsExhausted.Enabled)
        {
            Add(_instruments.PortsExhausted, 1, Tagged());
        }
    }

    /// <inheritdoc cref="PoolSpans.StartRoot"/>
    public Activity? StartHealthCheck(in ConnectionFacts connection, string kind)
    {
        Activity? span = PoolSpans.StartRoot("PooledTcp.HealthCheck", connection.Links);
        if (span is not null)
        {
            _names.Describe(span, "pooled_tcp health_check");
            span.SetTag(Attributes.HealthCheckKind, kind);
            connection.Describe(span);
        }

        return span;
    }

    /// <summary>As <see cref="SetupEnded"/>: one whose connection the pool took away, or the peer closed, has neither succeeded nor failed.</summary>
    public void HealthCheckEnded(Activity? span, string kind, TimeSpan? took, Exception? failure, bool isCutShort)
    {
        string? error = failure is null ? null : ErrorTypes.Of(failure);
        if (took is { } time && !isCutShort)
        {
            TagList tags = Tagged(error);
            tags.Add(Attributes.HealthCheckKind, kind);
            Record(_instruments.HealthCheckDuration, time.TotalSeconds, tags);
        }

        if (span is not null)
        {
            End(span, error, isCutShort);
        }
    }

    /// <inheritdoc cref="PoolSpans.StartRoot"/>
    public Activity? StartClose(in ConnectionFacts connection)
    {
        Activity? span = PoolSpans.StartRoot("PooledTcp.ConnectionClose", connection.Links);
        if (span is not null)
        {
            _names.Describe(span, "pooled_tcp connection_close");
            connection.Describe(span);
        }

        return span;
    }

    /// <summary>The closing handshake is over.</summary>
    public static void CloseEnded(Activity? span, string reason, string initiator, string method)
    {
        if (span is not null)
        {
            span.SetTag(Attributes.CloseReason, reason);
            span.SetTag(Attributes.CloseInitiator, initiator);
            span.SetTag(Attributes.CloseMethod, method);
            PoolSpans.Stop(span);
        }
    }

    public void Closed(TimeSpan age, string reason, string initiator, string method)
    {
        if (_instruments.Duration.Enabled)
        {
            Record(_instruments.Duration, age.TotalSeconds, Tagged());
        }

        if (_instruments.Closed.Enabled)
        {
            TagList tags = Tagged();
            tags.Add(Attributes.CloseReason, reason);
            tags.Add(Attributes.CloseInitiator, initiator);
            tags.Add(Attributes.CloseMethod, method);
            Add(_instruments.Closed, 1, tags);
        }
    }

    private static void End(Activity span, string? error, bool isCutShort)
    {
        if (error is not null)
        {
            span.SetTag(Attributes.ErrorType, error);
            span.SetStatus(isCutShort ? ActivityStatusCode.Unset : ActivityStatusCode.Error);
        }

        PoolSpans.Stop(span);
    }

    private Activity? StartLease(Activity? caller, in ConnectionFacts connection)
    {
        if (!TracesLeases || !PoolSpans.Rents.HasListeners())
        {
            return null;
        }

        Activity? span = PoolSpans.StartBeside(caller, "PooledTcp.Lease", connection.Links);
        if (span is { IsAllDataRequested: true })
        {
            PoolNames names = _names;
            names.Describe(span, names.Lease);
            connection.Describe(span);
            span.SetTag(Attributes.ConnectionReused, connection.Reused ? True : False);
            Describe(span, _gauges.Read());
        }

        return span;
    }

    /// <summary>
    /// The span of a wait is made when the wait is over: before it is queued nobody knows whether a caller will wait, and
    /// from then on it may be served at any moment.
    /// </summary>
    private Activity? StartWait(in WaitFacts wait, IEnumerable<ActivityLink>? links)
    {
        if (!wait.IsTraced)
        {
            return null;
        }

        Activity? span = PoolSpans.StartBeside(wait.Caller, "PooledTcp.WaitForConnection", links, wait.StartedAt);
        if (span is { IsAllDataRequested: true })
        {
            PoolNames names = _names;
            names.Describe(span, names.Wait);
            if (wait.Pool is { } pool)
            {
                Describe(span, pool);
            }
        }

        return span;
    }

    private static void EndWait(Activity span, in WaitFacts wait, TimeSpan waited)
    {
        // An end that equals the start would be taken for none.
        span.SetEndTime((wait.StartedAt + (waited > TimeSpan.Zero ? waited : TimeSpan.FromTicks(1))).UtcDateTime);
        PoolSpans.StopBeside(span);
    }

    private static void Describe(Activity span, PoolReading pool)
    {
        span.SetTag(Attributes.PoolIdle, pool.Idle);
        span.SetTag(Attributes.PoolUsed, pool.Used);
        span.SetTag(Attributes.PoolConnecting, pool.Connecting);
        span.SetTag(Attributes.PoolPendingRequests, pool.Waiting);
        span.SetTag(Attributes.PoolMax, pool.Max);
    }

    /// <summary>Under the caller's activity, for the exemplar: it is somebody else's thread that serves a waiter.</summary>
    private void RecordWaitOf(in WaitFacts wait, TimeSpan waited, bool? reused, string? error)
    {
        if (!_instruments.WaitTime.Enabled)
        {
            return;
        }

        using (new CurrentActivity(wait.Caller))
        {
            RecordWait(waited, reused, error);
        }
    }

    private void RecordWait(TimeSpan waited, bool? reused, string? error)
    {
        if (!_instruments.WaitTime.Enabled)
        {
            return;
        }

        TagList tags = Tagged(error);
        if (reused is { } known)
        {
            tags.Add(Attributes.ConnectionReused, known ? True : False);
        }

        Record(_instruments.WaitTime, waited.TotalSeconds, tags);
    }

    private static void Record(Histogram<double> histogram, double seconds, in TagList tags)
    {
        try
        {
            histogram.Record(seconds, tags);
        }
        catch (Exception)
        {
            // A listener's. There is nobody to tell.
        }
    }

    private static void Add(Counter<long> counter, int count, in TagList tags)
    {
        try
        {
            counter.Add(count, tags);
        }
        catch (Exception)
        {
            // As above.
        }
    }

    private TagList Tagged(string? error = null)
    {
        TagList tags = new(_names.Tags.All.AsSpan());
        if (error is not null)
        {
            tags.Add(Attributes.ErrorType, error);
        }

        return tags;
    }

    private PoolNames Name(EndpointAddress address) => new(_client.TagsOf(_pool, _isAdHoc, address), _pool, address);
}
