using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using PooledTcp.AspNetCore;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>Kestrel with our own server half, in the scenario's process.</summary>
public sealed class KestrelServer : RealServer
{
    public override string Name => "Kestrel + PooledTcp.AspNetCore";

    public override string Goodbye => @"raw:QUIT\n";

    public override string? FindObstacle() => null;

    public override async Task<IAsyncDisposable> StartAsync(string address, int port, TimeSpan? idleTimeout)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Parse(address), port, listen =>
            listen.UseClosePolicy(policy => policy.IdleTimeout = idleTimeout ?? policy.IdleTimeout).Run(ServeAsync)));
        WebApplication host = builder.Build();
        await host.StartAsync();
        return host;
    }

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken) =>
        await stream.AskAsync("hello\n", "hello", cancellationToken);

    /// <summary>Answers each line with itself; QUIT with BYE, and closes.</summary>
    private static async Task ServeAsync(ConnectionContext connection)
    {
        while (true)
        {
            ReadResult read = await connection.Transport.Input.ReadAsync();
            ReadOnlySequence<byte> rest = read.Buffer;
            while (rest.PositionOf((byte)'\n') is { } end)
            {
                string line = Encoding.ASCII.GetString(rest.Slice(0, end));
                rest = rest.Slice(rest.GetPosition(1, end));
                if (line == "QUIT")
                {
                    connection.Transport.Input.AdvanceTo(rest.Start);
                    connection.Features.Get<IClosePolicyFeature>()!.CloseFirst();
                    await connection.Transport.Output.WriteAsync("BYE\n"u8.ToArray());
                    return;
                }

                await connection.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes(line + "\n"));
            }

            connection.Transport.Input.AdvanceTo(rest.Start, rest.End);
            if (read.IsCompleted)
            {
                return;
            }
        }
    }
}
