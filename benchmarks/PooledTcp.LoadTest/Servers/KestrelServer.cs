using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace PooledTcp.LoadTest.Servers;

/// <summary>The same echo by Kestrel, with nothing else in its pipeline.</summary>
internal static class KestrelServer
{
    public static async Task<IAsyncDisposable> StartAsync(int port)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        WebApplication server = builder.Build();
        server.Run(static async context =>
        {
            byte[] body = new byte[Wire.PayloadLength];
            await context.Request.Body.ReadExactlyAsync(body);
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body);
        });
        await server.StartAsync();
        return server;
    }
}
