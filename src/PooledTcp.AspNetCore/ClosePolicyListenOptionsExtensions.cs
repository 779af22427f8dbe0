using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using PooledTcp.AspNetCore;
using PooledTcp.AspNetCore.Configuration;
using PooledTcp.AspNetCore.Connections;
using PooledTcp.Telemetry;

namespace Microsoft.AspNetCore.Hosting;

/// <summary>Who closes first, for the connections of a Kestrel endpoint that a <c>ConnectionHandler</c> serves.</summary>
public static class ClosePolicyListenOptionsExtensions
{
    // Between the two calls on one endpoint. Kestrel keeps the endpoints, and copies one for each address of localhost.
    private static readonly ConditionalWeakTable<ListenOptions, ClosePolicyMiddleware> Policies = [];

    /// <summary>
    /// Closes connections in order: on idle, when the host stops, and when the handler returns or calls
    /// <see cref="IClosePolicyFeature.CloseFirst"/>. Comes first on the endpoint, before <c>UseHttps</c> and everything else.
    /// </summary>
    /// <param name="listenOptions">The endpoint. It must use the sockets transport, which is Kestrel's default.</param>
    /// <param name="configure">Changes the settings of <c>AddClosePolicy</c> for this endpoint.</param>
    /// <returns>The same endpoint.</returns>
    /// <remarks>
    /// The handler's <c>Transport.Input</c> completes when it is time to close, as it does when the client closes; a
    /// handler that then returns needs no change. <c>HostOptions.ShutdownTimeout</c> has the last word at a stop.
    /// </remarks>
    /// <exception cref="OptionsValidationException">Some settings are not valid; the message names every one.</exception>
    public static ListenOptions UseClosePolicy(this ListenOptions listenOptions, Action<ClosePolicyOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(listenOptions);
        var services = listenOptions.ApplicationServices;
        var options = services.GetRequiredService<IOptionsFactory<ClosePolicyOptions>>().Create(Options.DefaultName);
        configure?.Invoke(options);
        var time = services.GetService<TimeProvider>() ?? TimeProvider.System;
        var middleware = new ClosePolicyMiddleware(
            ClosePolicySettings.Create(options),
            services.GetRequiredService<IOptions<SocketTransportOptions>>().Value.MaxWriteBufferSize,
            time,
            new ThrottledLogger(services.GetRequiredService<ILoggerFactory>().CreateLogger("PooledTcp.AspNetCore"), time));
        Policies.AddOrUpdate(listenOptions, middleware);
        listenOptions.Use(next => connection => middleware.OnConnectionAsync(connection, next));
        return listenOptions;
    }

    /// <summary>
    /// Ends TLS with a close_notify when the handler has returned, which Kestrel by itself does not. Comes right after
    /// <c>UseHttps</c>, on an endpoint that began with <see cref="UseClosePolicy"/>; there it is required.
    /// </summary>
    /// <param name="listenOptions">The endpoint.</param>
    /// <returns>The same endpoint.</returns>
    /// <remarks>
    /// Without it <see cref="ClosePolicyOptions.FlushTimeout"/> could not be kept under TLS, so connections are refused with
    /// an error that says so. Without a close_notify a client cannot tell the end of the stream from an attacker's FIN, and
    /// OpenSSL reports an error. With
    /// <see cref="ClosingSide.Client"/> it is the goodbye that makes a TLS client close first.
    /// </remarks>
    public static ListenOptions UseCloseNotify(this ListenOptions listenOptions)
    {
        ArgumentNullException.ThrowIfNull(listenOptions);
        if (Policies.TryGetValue(listenOptions, out var policy))
        {
            policy.HasCloseNotify = true;
        }

        listenOptions.Use(static next => connection => CloseNotifyMiddleware.OnConnectionAsync(connection, next));
        return listenOptions;
    }
}
