using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using PooledTcp.AspNetCore;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>Handlers that fail or leave something behind, and clients that do.</summary>
[Collection(nameof(ClosingTests))]
public sealed class BadEndTests
{
    private static CancellationToken Cancellation => Patience.Token;

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

        await server.WaitForCloseAsync();
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

        await server.WaitForCloseAsync();

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

        await server.WaitForCloseAsync();
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

        await server.RunClientsAsync(async client => Assert.Equal("BYE\n", await client.ReadToEndAsync()));

        await Kernel.ExpectAsync(server.EndPoint, new(0, Server.Clients, 0, 0));
        Assert.NotEmpty(server.Logged.Closes);
        Assert.All(server.Logged.Closes, text => Assert.EndsWith("HandlerReturned, Graceful.", text, StringComparison.Ordinal));
    }
}
