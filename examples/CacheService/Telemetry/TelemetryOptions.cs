using System.ComponentModel.DataAnnotations;

namespace CacheService.Telemetry;

/// <summary>Which spans go to the console.</summary>
internal enum ConsoleSpans
{
    None,

    /// <summary>The traces of slow requests, one a second at most, and every setup of a connection.</summary>
    Slow,

    All,
}

/// <summary>Section <c>Telemetry:Console</c>.</summary>
internal sealed class ConsoleTelemetryOptions
{
    /// <summary>Default: Slow.</summary>
    public ConsoleSpans Spans { get; set; } = ConsoleSpans.Slow;

    /// <summary>From this duration on a request is slow. Default 50 ms.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan SlowerThan { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Whether every metric is printed each ten seconds. Default: false.</summary>
    public bool Metrics { get; set; }
}
