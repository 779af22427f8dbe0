using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>Bytes that are still on their way, in either direction, when the server closes.</summary>
[Collection(nameof(ClosingTests))]
public sealed class LateBytesTests
{
    private const int LateBytes = 300_000;
    private const int ReplyLength = 1_000_000;

    private static CancellationToken Cancellation => Patience.Token;

    [Fact]
    public async Task Bytes_the_client_sent_too_late_do_not_cost_it_the_reply()
    {
        await using var server = await Server.StartAsync(
            AnswerTheFirstLineAsync, options => options.DrainLimit = LateBytes * 2, sockets: options => options.MaxReadBufferSize = 4_096);

        await server.RunClientsAsync(async client =>
        {
            var received = await SendTooMuchAndReadLateAsync(client);
            Assert.Equal(ReplyLength, received);
            // After our FIN too.
            await client.SendAsync(new string('y', 30_000));
        });

        await Kernel.ExpectAsync(server.EndPoint, new(0, Server.Clients, 0, 0));
    }

    [Fact]
    public async Task What_waits_in_the_kernel_has_arrived()
    {
        const int Fits = 40_000;
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Reads /proc/net/tcp.");
        var mayAnswer = new TaskCompletionSource();
        await using var server = await Server.StartAsync(
            async connection =>
            {
                await connection.Transport.Input.ReadAsync(Cancellation);
                await mayAnswer.Task.WaitAsync(Cancellation);
                await Server.SayAsync(connection, "BYE\n");
            },
            options => options.DrainLimit = 0,
            sockets: options => options.MaxReadBufferSize = 4_096);
        using (var client = await Client.ConnectAsync(server))
        {
            await client.SendAsync(new string('x', Fits));
            while (Kernel.Unacknowledged((IPEndPoint)client.Socket.LocalEndPoint!) > 0)
            {
                await Task.Delay(10, Cancellation);
            }

            mayAnswer.SetResult();
            Assert.Equal("BYE\n", await client.ReadToEndAsync());
        }

        await Kernel.ExpectAsync(server.EndPoint, new(0, 1, 0, 0));
        Assert.EndsWith("HandlerReturned, Graceful.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_client_sent_before_the_end_fits_into_the_default_limit()
    {
        var mayAnswer = new TaskCompletionSource();
        await using var server = await Server.StartAsync(async connection =>
        {
            await mayAnswer.Task.WaitAsync(Cancellation);
            await AnswerTheFirstLineAsync(connection);
        });
        using var client = await Client.ConnectAsync(server);
        // More than Kestrel's pipe and our kernel take: the rest waits in the client's.
        await client.SendAsync(new string('x', 3_000_000));
        mayAnswer.SetResult();
        await Task.Delay(200, Cancellation);

        Assert.Equal(ReplyLength, (await client.ReadToEndAsync()).Length);
        client.Dispose();
        await Kernel.ExpectAsync(server.EndPoint, new(0, 1, 0, 0));
    }

    [Fact]
    public async Task Kestrel_alone_resets_such_a_client()
    {
        // The fact the whole package stands on (tcp-facts row 5). Should Kestrel drain some day, this tells.
        await using var server = await Server.StartListeningAsync(
            listen => listen.Run(AnswerTheFirstLineAsync),
            services => services.Configure<SocketTransportOptions>(options => options.MaxReadBufferSize = 4_096));

        var cutShort = 0;
        await server.RunClientsAsync(async client =>
        {
            try
            {
                Assert.Equal(ReplyLength, await SendTooMuchAndReadLateAsync(client));
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
            {
                Interlocked.Increment(ref cutShort);
            }
        });

        // Not every one: Kestrel shuts down before it disposes, and on a busy machine a client may have read all in between.
        Assert.InRange(cutShort, 1, Server.Clients);
        await Kernel.ExpectAsync(server.EndPoint, new(0, 0, 0, 0));
    }

    [Fact]
    public async Task A_flood_ends_at_the_limit()
    {
        await using var server = await Server.StartAsync(
            Server.EchoLinesAsync,
            options =>
            {
                options.DrainTimeout = TimeSpan.FromHours(1);
                options.DrainLimit = 65_536;
            });
        using var client = await Client.ConnectAsync(server);
        await client.SendAsync("QUIT\n");
        await client.ExpectAsync("BYE\n");

        var error = await Assert.ThrowsAsync<SocketException>(async () =>
        {
            while (true)
            {
                await client.SendAsync(new string('x', 10_000));
            }
        });

        Assert.Contains(error.SocketErrorCode, new[] { SocketError.ConnectionReset, SocketError.Shutdown });
        await Kernel.ExpectAsync(server.EndPoint, new(0, 0, 0, 0));
        Assert.EndsWith("HandlerReturned, CutOff.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_long_reply_arrives_whole_at_a_slow_reader()
    {
        const int Length = 8_000_000;
        await using var server = await Server.StartAsync(
            async connection =>
            {
                // Never flushed, and completed: both are the handler's right.
                connection.Transport.Output.Write(new byte[Length]);
                await connection.Transport.Output.CompleteAsync();
                await connection.Transport.Input.CompleteAsync();
            },
            options => options.DrainTimeout = TimeSpan.FromMilliseconds(100));
        using var client = await Client.ConnectAsync(server);
        await Task.Delay(500, Cancellation);

        Assert.Equal(Length, (await client.ReadToEndAsync()).Length);
    }

    private static async Task AnswerTheFirstLineAsync(ConnectionContext connection)
    {
        await connection.Transport.Input.ReadAsync(Cancellation);
        await connection.Transport.Output.WriteAsync(new byte[ReplyLength], Cancellation);
    }

    /// <summary>Most of what it sends is unread in the kernel when the handler returns, and most of the reply unacknowledged.</summary>
    private static async Task<int> SendTooMuchAndReadLateAsync(Client client)
    {
        await client.SendAsync(new string('x', LateBytes));
        await Task.Delay(200, Cancellation);
        return (await client.ReadToEndAsync()).Length;
    }
}
