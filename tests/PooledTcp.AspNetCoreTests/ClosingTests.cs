using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using PooledTcp.AspNetCore;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>Who ends in TIME_WAIT, and what the client's program sees.</summary>
[Collection(nameof(ClosingTests))]
public sealed class ClosingTests
{
    [Fact]
    public async Task Server_first_keeps_every_TIME_WAIT_on_the_server()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync);

        await server.RunClientsAsync(async client =>
        {
            await client.SendAsync("hello\nQUIT\n");
            Assert.Equal("hello\nBYE\n", await client.ReadToEndAsync());
        });

        await Kernel.ExpectAsync(server.EndPoint, new(0, Server.Clients, 0, 0));
        Assert.All(server.Logged.Closes, text => Assert.EndsWith("closed: HandlerReturned, Graceful.", text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Client_first_waits_for_the_client_and_keeps_none()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, options => options.ClosesFirst = ClosingSide.Client);

        await server.RunClientsAsync(async client =>
        {
            await client.SendAsync("hello\nQUIT\n");
            await client.ExpectAsync("hello\nBYE\n");
        });

        await Kernel.ExpectAsync(server.EndPoint, new(Server.Clients, 0, 0, 0));
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
        await server.RunClientsAsync(client => client.ExpectAsync("BYE\n"));

        await Kernel.ExpectAsync(server.EndPoint, kernel => kernel is { ServerTimeWait: > Server.Clients / 2, ServerFinWait2: 0, Live: 0 });
        Assert.All(server.Logged.Closes, text => Assert.Contains("closed: Requested, ", text, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(ClosingSide.Server)]
    [InlineData(ClosingSide.Client)]
    public async Task A_half_closed_client_gets_its_reply_and_the_TIME_WAIT(ClosingSide side)
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, options => options.ClosesFirst = side);

        await server.RunClientsAsync(async client =>
        {
            await client.SendAsync("hello\n");
            client.Socket.Shutdown(SocketShutdown.Send);
            Assert.Equal("hello\n", await client.ReadToEndAsync());
        });

        await Kernel.ExpectAsync(server.EndPoint, new(Server.Clients, 0, 0, 0));
    }

    [Fact]
    public async Task A_client_that_never_closes_is_closed_quietly_after_the_server_did()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, options => options.DrainTimeout = TimeSpan.FromMilliseconds(100));
        using var client = await Client.ConnectAsync(server);
        await client.SendAsync("QUIT\n");

        // Nothing is left on either side, and the client, who has not looked yet, still reads to a clean end.
        await server.WaitForCloseAsync();
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

        await server.WaitForCloseAsync();
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
        for (var i = 0; i < Server.Clients; i++)
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

        await server.RunClientsAsync(async client =>
        {
            await client.SendAsync("QUIT\n");
            Assert.Equal("BYE\n", await client.ReadToEndAsync());
        });

        await Kernel.ExpectAsync(server.EndPoint, new(0, Server.Clients, 0, 0));
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
        await server.WaitForCloseAsync();
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
}
