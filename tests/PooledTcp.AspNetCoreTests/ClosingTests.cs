using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using PooledTcp.AspNetCore;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>Who ends in TIME_WAIT, and what the client's program sees.</summary>
public sealed class ClosingTests
{
    private const int Connections = 20;
    private const int LateBytes = 300_000;
    private const int ReplyLength = 1_000_000;

    private static CancellationToken Cancellation => Patience.Token;

    [Fact]
    public async Task Server_first_keeps_every_TIME_WAIT_on_the_server()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync);

        await RunClientsAsync(server, async client =>
        {
            await client.SendAsync("hello\nQUIT\n");
            Assert.Equal("hello\nBYE\n", await client.ReadToEndAsync());
        });

        await Kernel.ExpectAsync(server.EndPoint, new(0, Connections, 0, 0));
        Assert.All(server.Logged.Closes, text => Assert.EndsWith("closed: HandlerReturned, Graceful.", text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Client_first_waits_for_the_client_and_keeps_none()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, options => options.ClosesFirst = ClosingSide.Client);

        await RunClientsAsync(server, async client =>
        {
            await client.SendAsync("hello\nQUIT\n");
            await client.ExpectAsync("hello\nBYE\n");
        });

        await Kernel.ExpectAsync(server.EndPoint, new(Connections, 0, 0, 0));
        Assert.All(server.Logged.Closes, text => Assert.EndsWith(", Passive.", text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_handler_that_says_CloseFirst_closes_first_under_either_policy()
    {
        await using var server = await Server.StartAsync(
            async connection =>
            {
                var policy = connection.Features.Get<IClosePolicyFeature>()!;
                Assert.Equal(ClosingSide.Client, policy.ClosesFirst);
                policy.CloseFirst();
                Assert.Equal(OperatingSystem.IsLinux() ? 1 : 0, CorkOf(connection));
                await Server.SayAsync(connection, "BYE\n");
                Assert.Equal(ClosingSide.Server, policy.ClosesFirst);
                // Its loop ends without a read that the client would have to wake.
                await Server.EchoLinesAsync(connection);
            },
            options => options.ClosesFirst = ClosingSide.Client);

        // Closes on the goodbye, without waiting for the end of the stream. It is second all the same, except where the
        // machine stands still for the 200 ms that the kernel holds the goodbye back.
        await RunClientsAsync(server, client => client.ExpectAsync("BYE\n"));

        await Kernel.ExpectAsync(server.EndPoint, kernel => kernel is { ServerTimeWait: > Connections / 2, ServerFinWait2: 0, Live: 0 });
        Assert.All(server.Logged.Closes, text => Assert.Contains("closed: Requested, ", text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Bytes_the_client_sent_too_late_do_not_cost_it_the_reply()
    {
        await using var server = await Server.StartAsync(
            AnswerTheFirstLineAsync, options => options.DrainLimit = LateBytes * 2, sockets: options => options.MaxReadBufferSize = 4_096);

        await RunClientsAsync(server, async client =>
        {
            var received = await SendTooMuchAndReadLateAsync(client);
            Assert.Equal(ReplyLength, received);
            // After our FIN too.
            await client.SendAsync(new string('y', 30_000));
        });

        await Kernel.ExpectAsync(server.EndPoint, new(0, Connections, 0, 0));
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
        await RunClientsAsync(server, async client =>
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
        Assert.InRange(cutShort, 1, Connections);
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

    [Theory]
    [InlineData(ClosingSide.Server)]
    [InlineData(ClosingSide.Client)]
    public async Task A_half_closed_client_gets_its_reply_and_the_TIME_WAIT(ClosingSide side)
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, options => options.ClosesFirst = side);

        await RunClientsAsync(server, async client =>
        {
            await client.SendAsync("hello\n");
            client.Socket.Shutdown(SocketShutdown.Send);
            Assert.Equal("hello\n", await client.ReadToEndAsync());
        });

        await Kernel.ExpectAsync(server.EndPoint, new(Connections, 0, 0, 0));
    }

    [Fact]
    public async Task A_client_that_never_closes_is_closed_quietly_after_the_server_did()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, options => options.DrainTimeout = TimeSpan.FromMilliseconds(100));
        using var client = await Client.ConnectAsync(server);
        await client.SendAsync("QUIT\n");

        // Nothing is left on either side, and the client, who has not looked yet, still reads to a clean end.
        await WaitForCloseAsync(server);
        await Kernel.ExpectAsync(server.EndPoint, new(0, 0, 0, 0));
        Assert.Equal("BYE\n", await client.ReadToEndAsync());
        Assert.EndsWith("HandlerReturned, Quiet.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_the_quiet_close_it_is_left_to_the_kernel()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, options =>
        {
            options.DrainTimeout = TimeSpan.FromMilliseconds(100);
            options.AllowQuietClose = false;
        });
        using var client = await Client.ConnectAsync(server);
        await client.SendAsync("QUIT\n");

        await WaitForCloseAsync(server);
        await Kernel.ExpectAsync(server.EndPoint, new(0, 0, 1, 1));
        Assert.Equal("BYE\n", await client.ReadToEndAsync());
        client.Dispose();
        await Kernel.ExpectAsync(server.EndPoint, new(0, 1, 0, 0));
        Assert.EndsWith("HandlerReturned, Orphaned.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_should_close_first_and_does_not_is_closed_quietly()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, options =>
        {
            options.ClosesFirst = ClosingSide.Client;
            options.ClientCloseTimeout = TimeSpan.FromMilliseconds(100);
        });

        var clients = new List<Client>();
        for (var i = 0; i < Connections; i++)
        {
            var client = await Client.ConnectAsync(server);
            clients.Add(client);
            await client.SendAsync("QUIT\n");
        }

        Assert.All(await Task.WhenAll(clients.Select(client => client.ReadToEndAsync())), text => Assert.Equal("BYE\n", text));
        // Nothing is left while the clients are still open, nor when their FINs find nobody.
        await Kernel.ExpectAsync(server.EndPoint, new(0, 0, 0, 0));
        clients.ForEach(client => client.Dispose());
        await Kernel.ExpectAsync(server.EndPoint, new(0, 0, 0, 0));
        Assert.All(server.Logged.Closes, text => Assert.EndsWith(", Quiet.", text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_the_quiet_close_the_server_closes_first_then()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, options =>
        {
            options.ClosesFirst = ClosingSide.Client;
            options.ClientCloseTimeout = TimeSpan.FromMilliseconds(100);
            options.AllowQuietClose = false;
        });

        await RunClientsAsync(server, async client =>
        {
            await client.SendAsync("QUIT\n");
            Assert.Equal("BYE\n", await client.ReadToEndAsync());
        });

        await Kernel.ExpectAsync(server.EndPoint, new(0, Connections, 0, 0));
    }

    [Fact]
    public async Task A_failed_handler_closes_in_order_and_waits_for_nobody()
    {
        await using var server = await Server.StartAsync(
            async connection =>
            {
                await Server.SayAsync(connection, "half a rep");
                await connection.Transport.Input.ReadAsync(Cancellation);
                throw new InvalidDataException("not my protocol");
            },
            options =>
            {
                options.ClosesFirst = ClosingSide.Client;
                options.ClientCloseTimeout = TimeSpan.FromHours(1);
            });
        using (var client = await Client.ConnectAsync(server))
        {
            await client.SendAsync("?");
            Assert.Equal("half a rep", await client.ReadToEndAsync());
        }

        await Kernel.ExpectAsync(server.EndPoint, new(0, 1, 0, 0));
        // Kestrel logs it after the close.
        await server.StopAsync();
        Assert.Contains("not my protocol", server.Logged.Errors);
    }

    [Fact]
    public async Task Output_completed_with_an_exception_is_a_reset()
    {
        await using var server = await Server.StartAsync(async connection =>
        {
            await connection.Transport.Input.ReadAsync(Cancellation);
            await connection.Transport.Output.CompleteAsync(new InvalidDataException("cut short"));
        });
        using var client = await Client.ConnectAsync(server);
        await client.SendAsync("?");

        await Assert.ThrowsAsync<SocketException>(client.ReadToEndAsync);

        await WaitForCloseAsync(server);
        Assert.EndsWith(", Abort.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_does_not_take_the_last_bytes_is_reset()
    {
        await using var server = await Server.StartAsync(
            async connection => await connection.Transport.Output.WriteAsync(new byte[30_000_000], Cancellation),
            options => options.FlushTimeout = TimeSpan.FromMilliseconds(200),
            sockets: options => options.MaxWriteBufferSize = null);
        using var client = await Client.ConnectAsync(server);

        await WaitForCloseAsync(server);

        await Assert.ThrowsAsync<SocketException>(client.ReadToEndAsync);
        Assert.EndsWith("HandlerReturned, Abort.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_resets_is_no_error_of_ours()
    {
        await using var server = await Server.StartAsync(async connection =>
        {
            while (!(await Server.SayAsync(connection, "tick\n")).IsCompleted)
            {
                await Task.Delay(1, Cancellation);
            }
        });
        using (var client = await Client.ConnectAsync(server))
        {
            await client.ExpectAsync("tick\n");
            client.Socket.LingerState = new LingerOption(true, 0);
        }

        await WaitForCloseAsync(server);
        Assert.EndsWith("HandlerReturned, Broken.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_read_left_behind_by_the_handler_does_no_harm(bool withBytes)
    {
        var leftBehind = Task.CompletedTask;
        await using var server = await Server.StartAsync(async connection =>
        {
            if (withBytes)
            {
                // Read, and not advanced.
                await connection.Transport.Input.ReadAsync(Cancellation);
            }
            else
            {
                leftBehind = ReadAsync(connection);
            }

            await Server.SayAsync(connection, "BYE\n");
        });
        using (var client = await Client.ConnectAsync(server))
        {
            if (withBytes)
            {
                await client.SendAsync("?");
            }

            Assert.Equal("BYE\n", await client.ReadToEndAsync());
        }

        await leftBehind.WaitAsync(Cancellation);
        await Kernel.ExpectAsync(server.EndPoint, new(0, 1, 0, 0));

        static async Task ReadAsync(ConnectionContext connection)
        {
            // Held on to: once it is over, the connection shows Kestrel's own again.
            var input = connection.Transport.Input;
            var read = await input.ReadAsync(Cancellation);
            Assert.True(read.IsCompleted && read.Buffer.IsEmpty);
            input.AdvanceTo(read.Buffer.End);
        }
    }

    [Fact]
    public async Task A_second_read_is_refused_and_the_first_goes_on()
    {
        await using var server = await Server.StartAsync(async connection =>
        {
            var input = connection.Transport.Input;
            var first = input.ReadAsync(Cancellation).AsTask();
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await input.ReadAsync(Cancellation));
            Assert.Throws<InvalidOperationException>(() => input.TryRead(out _));
            Assert.False(first.IsCompleted);
            // Leaves the first behind.
            await Server.SayAsync(connection, "BYE\n");
        });

        await RunClientsAsync(server, async client => Assert.Equal("BYE\n", await client.ReadToEndAsync()));

        await Kernel.ExpectAsync(server.EndPoint, new(0, Connections, 0, 0));
        Assert.NotEmpty(server.Logged.Closes);
        Assert.All(server.Logged.Closes, text => Assert.EndsWith("HandlerReturned, Graceful.", text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_unix_socket_closes_in_order_too()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        await using var server = await Server.StartListeningAsync(
            listen => listen.UseClosePolicy(options => options.DrainTimeout = TimeSpan.FromMilliseconds(100)).Run(Server.EchoLinesAsync), unixPath: path);
        using var client = await Client.ConnectAsync(new UnixDomainSocketEndPoint(path));
        await client.SendAsync("QUIT\nand more");

        Assert.Equal("BYE\n", await client.ReadToEndAsync());
        await WaitForCloseAsync(server);
    }

    private static int CorkOf(ConnectionContext connection)
    {
        const int ProtocolTcp = 6;
        const int Cork = 3;
        var value = new byte[sizeof(int)];
        if (OperatingSystem.IsLinux())
        {
            connection.Features.Get<IConnectionSocketFeature>()!.Socket.GetRawSocketOption(ProtocolTcp, Cork, value);
        }

        return BitConverter.ToInt32(value);
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

    internal static async Task WaitForCloseAsync(Server server)
    {
        while (!server.Logged.Closes.Any())
        {
            await Task.Delay(10, Cancellation);
        }
    }

    private static async Task RunClientsAsync(Server server, Func<Client, Task> run) =>
        await Task.WhenAll(Enumerable.Range(0, Connections).Select(async _ =>
        {
            using var client = await Client.ConnectAsync(server);
            await run(client);
        }));
}
