namespace OpenTelemetry.Metrics;

/// <summary>The metrics of PooledTcp, for OpenTelemetry.</summary>
public static class PooledTcpMeterProviderBuilderExtensions
{
    /// <summary>
    /// Collects the metrics of every <c>PooledTcpClient</c> of the process: the meter <c>PooledTcp</c>. Calling it twice is
    /// calling it once.
    /// </summary>
    /// <remarks>
    /// The number of series stays bounded however many ad hoc endpoints there are. Exemplars, which lead from a slow
    /// <c>pooled_tcp.connection.wait_time</c> to its trace, are collected only with
    /// <c>SetExemplarFilter(ExemplarFilterType.TraceBased)</c>.
    /// </remarks>
    /// <param name="builder">Of the meter provider.</param>
    /// <returns>The same builder.</returns>
    public static MeterProviderBuilder AddPooledTcpInstrumentation(this MeterProviderBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.AddMeter("PooledTcp");
    }
}
