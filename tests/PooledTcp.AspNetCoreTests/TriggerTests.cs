using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Time.Testing;
using PooledTcp.AspNetCore;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>What makes a connection close while its handler waits for the client.</summary>
public sealed class TriggerTests
{
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(75);

    private static CancellationToken Cancellation => Patience.Token;

    [Fact]
    public async Task An_idle_connection_is_closed_by_the_server()
    {
        var time = new FakeTimeProvider();
        var waiting = new TaskCompletionSource();
        var end = new TaskCompletionSource<bool>();
        await using var server = await Server.StartAsync(
            async connection =>
            {
                var reading = connection.Transport.Input.ReadAsync(Cancellation);
                waiting.SetResult();
                var read = await reading;
                connection.Transport.Input.AdvanceTo(read.Buffer.End);
                end.SetResult(read.IsCompleted);
            },
            time: time);
        using (var client = await Client.ConnectAsync(server))
        {
            await waiting.Task.WaitAsync(Cancellation);
            time.Advance(Idle - TimeSpan.FromSeconds(1));
            Assert.False(end.Task.IsCompleted);

            // Once past, and the clock stands still: no deadline of the close itself comes into it.
            time.Advance(TimeSpan.FromSeconds(1));
            Assert.True(await end.Task.WaitAsync(Cancellation));
            Assert.Equal("", await client.ReadToEndAsync());
        }

        await Kernel.ExpectAsync(server.EndPoint, new(0, 1, 0, 0));
        Assert.EndsWith("closed: Idle, Graceful.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Neither_a_working_handler_nor_one_that_sends_is_idle()
    {
        var time = new FakeTimeProvider();
        var mayGoOn = new SemaphoreSlim(0);
        var works = new TaskCompletionSource();
        await using var server = await Server.StartAsync(
            async connection =>
            {
                var reading = connection.Transport.Input.ReadAsync(Cancellation).AsTask();
                for (var tick = 0; tick < 6; tick++)
                {
                    await mayGoOn.WaitAsync(Cancellation);
                    await Server.SayAsync(connection, "tick\n");
                }

                var read = await reading;
                Assert.False(read.IsCompleted);
                connection.Transport.Input.AdvanceTo(read.Buffer.End);
                // Works, and does not read.
                works.SetResult();
                await mayGoOn.WaitAsync(Cancellation);
                await Server.SayAsync(connection, "done\n");
            },
            time: time);
        using var client = await Client.ConnectAsync(server);
        for (var tick = 0; tick < 3; tick++)
        {
            time.Advance(Idle * 0.9);
            // Twice: a send is stamped once it is done, so only the second one proves that the first one is.
            for (var i = 0; i < 2; i++)
            {
                mayGoOn.Release();
                await client.ExpectAsync("tick\n");
            }
        }

        await client.SendAsync("go\n");
        await works.Task.WaitAsync(Cancellation);
        time.Advance(Idle * 3);
        mayGoOn.Release();

        Assert.Equal("done\n", await client.ReadToEndAsync());
        client.Dispose();
        await server.WaitForCloseAsync();
        Assert.EndsWith("closed: HandlerReturned, Graceful.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_download_in_progress_is_not_idle()
    {
        const int Length = 8_000_000;
        const int PerStep = 200_000;
        var time = new FakeTimeProvider();
        var written = new TaskCompletionSource<bool>();
        var mayReturn = new TaskCompletionSource();
        await using var server = await Server.StartAsync(
            async connection =>
            {
                // The kernel takes more only when a good part of this is free: many steps of the client.
                connection.Features.Get<IConnectionSocketFeature>()!.Socket.SendBufferSize = 1_000_000;
                var reading = connection.Transport.Input.ReadAsync(Cancellation).AsTask();
                var writing = connection.Transport.Output.WriteAsync(new byte[Length], Cancellation).AsTask();
                written.SetResult(await Task.WhenAny(reading, writing) == writing);
                // Not before the clock stands still: the deadlines of the close go by it too.
                await mayReturn.Task.WaitAsync(Cancellation);
            },
            time: time);
        using var client = await Client.ConnectAsync(server);
        client.Socket.ReceiveBufferSize = 50_000;
        var received = 0;
        // Only while more is left than the two kernels hold: then a send is under way.
        while (!written.Task.IsCompleted && received < Length - 3_000_000)
        {
            received += await client.ReceiveAsync(PerStep);
            time.Advance(Idle * 0.9);
        }

        Assert.False(written.Task.IsCompleted);
        mayReturn.SetResult();
        Assert.Equal(Length, received + (await client.ReadToEndAsync()).Length);
        Assert.True(await written.Task.WaitAsync(Cancellation));
    }

    [Theory]
    [InlineData(ClosingSide.Server)]
    [InlineData(ClosingSide.Client)]
    public async Task A_stop_closes_1000_connections_in_order(ClosingSide side)
    {
        const int Count = 1_000;
        await using var server = await Server.StartAsync(
            Server.EchoLinesAsync,
            options =>
            {
                options.ClosesFirst = side;
                options.ClientCloseTimeout = TimeSpan.FromSeconds(1);
            });
        var clients = new List<Client>();
        for (var i = 0; i < Count; i++)
        {
            var client = await Client.ConnectAsync(server);
            clients.Add(client);
            await client.SendAsync("hello\n");
            await client.ExpectAsync("hello\n");
        }

        var ends = clients.Select(async client =>
        {
            var rest = await client.ReadToEndAsync();
            client.Dispose();
            return rest;
        }).ToArray();
        // Side by side. One after the other it would take a thousand times ClientCloseTimeout, and no test may.
        await server.StopAsync();

        // A reset would have thrown.
        Assert.All(await Task.WhenAll(ends), Assert.Empty);
        Assert.NotEmpty(server.Logged.Closes);
        Assert.All(server.Logged.Closes, text => Assert.EndsWith(
            side == ClosingSide.Server ? "closed: Stopping, Graceful." : "closed: Stopping, Quiet.", text, StringComparison.Ordinal));
        if (side == ClosingSide.Server)
        {
            await Kernel.ExpectAsync(server.EndPoint, new(0, Count, 0, 0));
        }
        else
        {
            // These clients wait for the server, so after a second it closes quietly. Kestrel's close is a Shutdown and a
            // Dispose, though, and when a thousand close at once the FIN of a client comes between the two now and then, how often is up to the machine.
            await Kernel.ExpectAsync(server.EndPoint, kernel => kernel is { ClientTimeWait: 0, ServerFinWait2: 0, Live: 0, ServerTimeWait: < Count });
        }
    }

    [Fact]
    public async Task A_stop_lets_the_handler_finish_what_it_has()
    {
        var started = new TaskCompletionSource();
        var arrived = new TaskCompletionSource();
        var mayAnswer = new TaskCompletionSource();
        await using var server = await Server.StartAsync(async connection =>
        {
            var input = connection.Transport.Input;
            var read = await input.ReadAsync(Cancellation);
            var seen = new StringBuilder(Encoding.ASCII.GetString(read.Buffer));
            input.AdvanceTo(read.Buffer.End);
            started.SetResult();

            // Looks whether it is there, and leaves it there.
            while ((read = await input.ReadAsync(Cancellation)).Buffer.Length < "second".Length)
            {
                input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            }

            input.AdvanceTo(read.Buffer.Start);
            arrived.SetResult();
            await mayAnswer.Task.WaitAsync(Cancellation);
            while (true)
            {
                read = await input.ReadAsync(Cancellation);
                seen.Append(Encoding.ASCII.GetString(read.Buffer));
                input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                {
                    await Server.SayAsync(connection, $"all I got: {seen}");
                    return;
                }
            }
        });
        using var client = await Client.ConnectAsync(server);
        await client.SendAsync("first ");
        await started.Task.WaitAsync(Cancellation);
        // Arrives before the stop, while the handler is busy.
        await client.SendAsync("second");
        await arrived.Task.WaitAsync(Cancellation);

        var stop = server.StopAsync();
        Assert.False(stop.IsCompleted);
        mayAnswer.SetResult();

        Assert.Equal("all I got: first second", await client.ReadToEndAsync());
        client.Dispose();
        await stop;
        await Kernel.ExpectAsync(server.EndPoint, new(0, 1, 0, 0));
    }

    [Fact]
    public async Task An_examined_half_line_is_handed_over_again_at_the_end()
    {
        var ends = new TaskCompletionSource<string>();
        await using var server = await Server.StartAsync(async connection =>
        {
            var input = connection.Transport.Input;
            var read = await input.ReadAsync(Cancellation);
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            connection.Features.Get<IClosePolicyFeature>()!.CloseFirst();
            Assert.True(input.TryRead(out read) && read.IsCompleted && !read.IsCanceled);
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            // And again, however often it asks.
            read = await input.ReadAsync(Cancellation);
            Assert.True(read.IsCompleted && !read.IsCanceled);
            ends.SetResult(Encoding.ASCII.GetString(read.Buffer));
            input.AdvanceTo(read.Buffer.End);
            await input.CompleteAsync();
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await input.ReadAsync(Cancellation));
        });
        using var client = await Client.ConnectAsync(server);
        await client.SendAsync("half a li");

        Assert.Equal("half a li", await ends.Task.WaitAsync(Cancellation));
        Assert.Equal("", await client.ReadToEndAsync());
    }

    [Fact]
    public async Task A_handlers_own_cancellation_is_not_the_end()
    {
        await using var server = await Server.StartAsync(async connection =>
        {
            var input = connection.Transport.Input;
            Assert.False(input.TryRead(out _));
            input.CancelPendingRead();
            var read = await input.ReadAsync(Cancellation);
            Assert.True(read.IsCanceled && !read.IsCompleted);
            input.AdvanceTo(read.Buffer.End);
            using var cancelled = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await input.ReadAsync(cancelled.Token));
            await Server.SayAsync(connection, "ready\n");
            await Server.EchoLinesAsync(connection);
        });
        using var client = await Client.ConnectAsync(server);
        await client.ExpectAsync("ready\n");
        await client.SendAsync("QUIT\n");

        Assert.Equal("BYE\n", await client.ReadToEndAsync());
    }
}
