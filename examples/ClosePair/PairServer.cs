using System.Buffers;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using PooledTcp.AspNetCore;

namespace ClosePair;

/// <summary>Answers the line REPORT with a report, and is done: the server of a protocol with one exchange per connection.</summary>
internal sealed class PairServer : ConnectionHandler
{
    public const int ReportLength = 1_000_000;

    public static async Task RunAsync(Policy policy, IPEndPoint endPoint)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(endPoint, listen =>
        {
            if (policy != Policy.KestrelAlone)
            {
                // Before everything else on the endpoint; UseHttps and UseCloseNotify would come next.
                listen.UseClosePolicy(options =>
                {
                    options.ClosesFirst = policy == Policy.ServerFirst ? ClosingSide.Server : ClosingSide.Client;
                    // Whoever waits here waits for the other process, and this runs on busy machines, too.
                    options.DrainTimeout = options.ClientCloseTimeout = TimeSpan.FromMinutes(1);
                });
            }

            listen.UseConnectionHandler<PairServer>();
        }));
        // Small, so that a client soon has bytes under way that nobody will read.
        builder.Services.Configure<SocketTransportOptions>(sockets => sockets.MaxReadBufferSize = 16_384);

        await using WebApplication host = builder.Build();
        await host.StartAsync();
        Console.WriteLine("ready");
        // The stage holds the other end: however it ends, so do we.
        await Console.In.ReadLineAsync();
        await host.StopAsync();
    }

    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        while (true)
        {
            var read = await connection.Transport.Input.ReadAsync();
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                connection.Transport.Input.AdvanceTo(read.Buffer.GetPosition(1, end));
                await connection.Transport.Output.WriteAsync(new byte[ReportLength]);
                return;
            }

            connection.Transport.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted)
            {
                return;
            }
        }
    }
}
