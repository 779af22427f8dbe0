using System.Diagnostics;
using OpenTelemetry;
using OpenTelemetry.Trace;
using Xunit;

namespace PooledTcp.OpenTelemetryTests.Harness;

/// <summary>A tracer provider as an application would make one, with everything it exports in memory.</summary>
internal sealed class Traced : IDisposable
{
    /// <summary>After this a test that waits for a span has failed; only a defect gets there.</summary>
    public static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);

    private readonly ActivitySource _application = new($"Application.{Guid.NewGuid():N}");
    private readonly Exported<Activity> _spans = [];
    private readonly TracerProvider _provider;

    public Traced(Action<PooledTcpTraceInstrumentationOptions>? configure = null, Sampler? sampler = null) => _provider = Sdk.CreateTracerProviderBuilder()
        .SetSampler(sampler ?? new AlwaysOnSampler())
        .AddSource(_application.Name)
        .AddPooledTcpInstrumentation(configure)
        .AddInMemoryExporter(_spans)
        .Build();

    public Activity[] Spans => _spans.Now;

    /// <summary>The caller's own span, which is current until it is disposed.</summary>
    public Activity Start(string name)
    {
        Activity? span = _application.StartActivity(name);
        Assert.NotNull(span);
        Assert.Same(span, Activity.Current);
        return span;
    }

    /// <summary>Those of that display name, when there are so many; a moment later there may be more.</summary>
    public async Task<Activity[]> ManyAsync(string displayName, int count)
    {
        using CancellationTokenSource hang = new(Hang);
        while (true)
        {
            Activity[] found = [.. Spans.Where(span => span.DisplayName == displayName)];
            if (found.Length >= count)
            {
                return found;
            }

            Assert.False(
                hang.IsCancellationRequested,
                $"{found.Length} spans '{displayName}', expected {count}; there are: {string.Join(", ", Spans.Select(static span => span.DisplayName))}");
            await Task.Delay(10, CancellationToken.None);
        }
    }

    /// <summary>The one of that display name.</summary>
    public async Task<Activity> OneAsync(string displayName) => Assert.Single(await ManyAsync(displayName, 1));

    public void Dispose()
    {
        _provider.Dispose();
        _application.Dispose();
    }
}
