using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace PooledTcp.AspNetCore.Connections;

/// <summary>
/// Stands inside TLS, because only there is the stream still alive after the handler: Kestrel's TLS layer disposes it on
/// the way out, without a close_notify, and the layer outside sees ciphertext only.
/// </summary>
internal static class CloseNotifyMiddleware
{
    public static async Task OnConnectionAsync(ConnectionContext context, ConnectionDelegate next)
    {
        if (context.Features.Get<ISslStreamFeature>()?.SslStream is not { } tls
            || context.Features.Get<IClosePolicyFeature>() is not PolicyConnection connection)
        {
            throw new InvalidOperationException(
                $"{nameof(ClosePolicyListenOptionsExtensions.UseCloseNotify)} must be called after UseHttps on an endpoint that began with {nameof(ClosePolicyListenOptionsExtensions.UseClosePolicy)}.");
        }

        try
        {
            await next(context).ConfigureAwait(false);
        }
        finally
        {
            // Only in here can it be told that the handler is done: on its way out Kestrel's TLS layer sends what it still
            // holds, and waits for the client without a limit.
            connection.HandlerEnded();
        }

        // What the handler left unflushed would be refused after the close_notify. Not when the handler threw: then
        // the stream is cut short, and must not look complete.
        await connection.SendLastAsync(SayAsync).ConfigureAwait(false);

        async Task SayAsync()
        {
            await context.Transport.Output.CompleteAsync().ConfigureAwait(false);
            await tls.ShutdownAsync().ConfigureAwait(false);
        }
    }
}
