using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace CacheService.Telemetry;

/// <summary>Metrics for Prometheus, traces for the console, and all of it for an OTLP endpoint if one is named.</summary>
internal static class TelemetryRegistration
{
    private const int ConsoleMetricsInterval = 10_000;

    // What operators and their tools ask for would drown what users ask for.
    private static readonly string[] Untraced = ["/health", "/metrics", "/pooledtcp"];

    public static void AddTelemetry(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<ConsoleTelemetryOptions>().BindConfiguration("Telemetry:Console").ValidateDataAnnotations().ValidateOnStart();
        ConsoleTelemetryOptions console = builder.Configuration.GetSection("Telemetry:Console").Get<ConsoleTelemetryOptions>() ?? new();

        OpenTelemetryBuilder telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(static resource => resource.AddService("CacheService"))
            .WithMetrics(metrics =>
            {
                metrics.AddPooledTcpInstrumentation().AddAspNetCoreInstrumentation();

                // An exemplar is the trace of one measurement in a bucket: the way from a slow bucket to a slow request.
                // Prometheus gets them when it asks for OpenMetrics, which it does, and keeps them with
                // --enable-feature=exemplar-storage.
                metrics.SetExemplarFilter(ExemplarFilterType.TraceBased);
                metrics.AddPrometheusExporter();
                if (console.Metrics)
                {
                    metrics.AddConsoleExporter(static (_, reader) =>
                        reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = ConsoleMetricsInterval);
                }
            })
            .WithTracing(tracing =>
            {
                tracing.AddPooledTcpInstrumentation(static options => options.NetworkSpans = true);
                tracing.AddAspNetCoreInstrumentation(static options =>
                    options.Filter = static context => !Untraced.Any(path => context.Request.Path.StartsWithSegments(path)));
                AddConsole(tracing, console);
            });

        // The variable of the OpenTelemetry specification; the exporter reads it, and its companions, by itself.
        if (!string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
        {
            telemetry.WithLogging(configureBuilder: null, static logging => logging.IncludeScopes = true);
            telemetry.UseOtlpExporter();
        }
    }

    private static void AddConsole(TracerProviderBuilder tracing, ConsoleTelemetryOptions console)
    {
        switch (console.Spans)
        {
            case ConsoleSpans.All:
                tracing.AddConsoleExporter();
                break;
            case ConsoleSpans.Slow:
                tracing.AddProcessor(provider => new SlowTraces(
                    new ConsoleActivityExporter(new ConsoleExporterOptions()),
                    console.SlowerThan,
                    provider.GetService<TimeProvider>() ?? TimeProvider.System));
                break;
            default:
                break;
        }
    }
}
