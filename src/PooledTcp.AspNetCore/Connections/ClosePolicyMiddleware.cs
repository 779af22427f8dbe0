using System.Buffers;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;
using PooledTcp.AspNetCore.Configuration;

namespace PooledTcp.AspNetCore.Connections;

/// <summary>The outermost layer of an endpoint: whoever is inside gets a transport that does not close the socket by itself.</summary>
internal sealed class ClosePolicyMiddleware(
    ClosePolicySettings settings, long? maxWriteBufferSize, TimeProvider time, ILogger logger)
{
    private const string MissingCloseNotify =
        $"{nameof(ClosePolicyListenOptionsExtensions.UseCloseNotify)} must be called right after UseHttps on an endpoint that begins with "
        + $"{nameof(ClosePolicyListenOptionsExtensions.UseClosePolicy)}: without it a client that does not read could keep its connection for ever.";

    /// <summary>Whether <see cref="CloseNotifyMiddleware"/> is on the same endpoint.</summary>
    public bool HasCloseNotify { get; set; }

    public async Task OnConnectionAsync(ConnectionContext context, ConnectionDelegate next)
    {
        if (context.Features.Get<IClosePolicyFeature>() is not null || context.Features.Get<ISslStreamFeature>() is not null)
        {
            throw new InvalidOperationException(
                $"{nameof(ClosePolicyListenOptionsExtensions.UseClosePolicy)} must be called once per endpoint, and before UseHttps: it owns the socket.");
        }

        var socket = context.Features.Get<IConnectionSocketFeature>()?.Socket
            ?? throw new InvalidOperationException(
                $"{nameof(ClosePolicyListenOptionsExtensions.UseClosePolicy)} needs Kestrel's sockets transport; this connection has no socket.");

        var original = context.Transport;
        var pool = context.Features.Get<IMemoryPoolFeature>()?.MemoryPool ?? MemoryPool<byte>.Shared;
        var connection = new PolicyConnection(context, socket, settings, new OutputPump(socket, pool, maxWriteBufferSize, time), time, logger);
        context.Features.Set<IClosePolicyFeature>(connection);
        context.Transport = connection;
        connection.Start();
        try
        {
            var inner = next(context);
            if (IsTlsUnbounded(context))
            {
                context.Abort(new ConnectionAbortedException(MissingCloseNotify));
            }

            await inner.ConfigureAwait(false);
            if (IsTlsUnbounded(context))
            {
                throw new InvalidOperationException(MissingCloseNotify);
            }
        }
        catch (Exception e)
        {
            connection.HandlerFailed(e);
            throw;
        }
        finally
        {
            await connection.CloseAsync().ConfigureAwait(false);
            // Kestrel completes its own transport next, and disposes the socket with it.
            context.Transport = original;
        }
    }

    /// <summary>
    /// TLS without UseCloseNotify. Kestrel's TLS layer sends the handler's last bytes from inside <c>next</c>, and from out
    /// here that looks like a handler that still writes, which has all the time it wants: no FlushTimeout could be kept. It
    /// cannot be seen at start whether an endpoint has TLS; it is seen before the first handshake, so the first connection tells.
    /// </summary>
    private bool IsTlsUnbounded(ConnectionContext context) => !HasCloseNotify && context.Features.Get<ISslStreamFeature>() is not null;
}
