using PooledTcp;

namespace OpenTelemetry.Trace;

/// <summary>The spans of PooledTcp, for OpenTelemetry.</summary>
public static class PooledTcpTracerProviderBuilderExtensions
{
    /// <summary>
    /// Collects the spans of every <c>PooledTcpClient</c> of the process: callers that waited for a connection, and the
    /// connections they waited for. Calling it twice is calling it once.
    /// </summary>
    /// <param name="builder">Of the tracer provider.</param>
    /// <returns>The same builder.</returns>
    public static TracerProviderBuilder AddPooledTcpInstrumentation(this TracerProviderBuilder builder) =>
        AddPooledTcpInstrumentation(builder, configure: null);

    /// <summary>As <see cref="AddPooledTcpInstrumentation(TracerProviderBuilder)"/>, with a choice of what is collected.</summary>
    /// <param name="builder">Of the tracer provider.</param>
    /// <param name="configure">Changes the options; called at once.</param>
    /// <returns>The same builder.</returns>
    public static TracerProviderBuilder AddPooledTcpInstrumentation(
        this TracerProviderBuilder builder, Action<PooledTcpTraceInstrumentationOptions>? configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        PooledTcpTraceInstrumentationOptions options = new();
        configure?.Invoke(options);

        builder.AddSource("PooledTcp");
        if (options.ConnectionSpans)
        {
            builder.AddSource("Experimental.PooledTcp.Connections");
        }

        if (options.NetworkSpans)
        {
            builder.AddSource(
                "Experimental.System.Net.NameResolution",
                "Experimental.System.Net.Sockets",
                "Experimental.System.Net.Security");
        }

        return builder;
    }
}
