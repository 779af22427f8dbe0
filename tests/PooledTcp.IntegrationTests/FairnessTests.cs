using System.Globalization;
using System.Net;
using System.Net.Sockets;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>MaxTotalConnections on real sockets: many keys, one of them greedy.</summary>
public sealed class FairnessTests(ITestOutputHelper output)
{
    private const int Keys = 50;
    private const int Cap = 20;
    private const int GreedyCallers = 100;
    private const int OtherCallers = 2;

    /// <summary>Many turns of each key, whatever the machine's speed: the test counts requests, not seconds.</summary>
    private const int RequestsPerKey = 250;

    [Fact]
    public async Task The_worst_key_gets_at_least_four_fifths_of_its_fair_share()
    {
        await using SlowEchoServer server = new();
        SocketCensus census = new();
        PooledTcpOptions options = new() { MaxTotalConnections = Cap };
        options.Defaults.ConnectCallback = census.ConnectAsync;
        options.Defaults.RentTimeout = TimeSpan.FromMinutes(2);
        options.Defaults.ConnectTimeout = TimeSpan.FromMinutes(1);
        await using PooledTcpClient client = new(options);
        IPEndPoint endPoint = new(IPAddress.Loopback, server.Port);
        TcpPool[] pools = [.. Enumerable.Range(0, Keys).Select(i => client.GetPool(endPoint, i.ToString(CultureInfo.InvariantCulture)))];

        long[] served = new long[Keys];
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Task[] callers =
        [
            .. Enumerable.Range(0, Keys).SelectMany(key => Enumerable.Range(0, key == 0 ? GreedyCallers : OtherCallers).Select(
                _ => Task.Run(() => CallAsync(pools[key], () => Interlocked.Increment(ref served[key]), stop.Token)))),
        ];

        // Steady first: everybody queues, and the greedy one has lost what it took at the start.
        await CountAsync(() => Sum(served) >= Keys * 20, callers, census);
        long[] before = Read(served);
        string[] listed = await CountAsync(() => Sum(served) - before.Sum() >= Keys * RequestsPerKey, callers, census);
        long[] shares = [.. Read(served).Zip(before, static (now, then) => now - then)];
        await stop.CancelAsync();
        await Task.WhenAll(callers);

        double fair = shares.Average();
        output.WriteLine(
            $"{shares.Sum()} requests, fair share {fair:0}, worst {shares.Min()} ({shares.Min() / fair:P0}), best {shares.Max()}, greedy {shares[0]}, "
            + $"dials {server.Accepted}, sockets at most {census.Peak} (kernel, sampled: {listed.Length})");
        Assert.True(shares.Min() >= 0.8 * fair, $"fair {fair:0}: {string.Join(' ', shares)}");
        Assert.InRange(census.Peak, 1, Cap);
        Assert.True(listed.Length <= Cap, $"The kernel had {listed.Length} at one moment:\n{string.Join('\n', listed)}");
    }

    private static async Task CallAsync(TcpPool pool, Action served, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[16];
        try
        {
            while (true)
            {
                // Not cancelled within an exchange: that would be a close of another kind.
                using TcpLease lease = await pool.RentAsync(cancellationToken);
                await lease.SendAsync(buffer, CancellationToken.None);
                for (int received = 0; received < buffer.Length;)
                {
                    int count = await lease.ReceiveAsync(buffer.AsMemory(received), CancellationToken.None);
                    Assert.NotEqual(0, count);
                    received += count;
                }

                lease.Complete();
                served();
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    /// <summary>
    /// Waits, and asks the kernel now and then which of the sockets it has: the most at one moment. Fails with the first
    /// caller that does.
    /// </summary>
    private static async Task<string[]> CountAsync(Func<bool> condition, Task[] callers, SocketCensus census)
    {
        string[] most = [];
        Task failed = Task.WhenAny(callers);
        while (!condition())
        {
            if (failed.IsCompleted)
            {
                await await Task.WhenAny(callers);
                Assert.Fail("A caller ended.");
            }

            if (KernelSockets.CanCount && census.KernelLines() is var listed && listed.Length > most.Length)
            {
                most = listed;
            }

            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        return most;
    }

    private static long Sum(long[] counters) => Read(counters).Sum();

    private static long[] Read(long[] counters) => [.. Enumerable.Range(0, counters.Length).Select(i => Interlocked.Read(ref counters[i]))];

    /// <summary>A request takes 4 ms, so that the machine is not what is measured.</summary>
    private sealed class SlowEchoServer : LineServer
    {
        protected override async Task ServeAsync(Socket client, CancellationToken cancellationToken)
        {
            byte[] buffer = new byte[16];
            int received;
            while ((received = await client.ReceiveAsync(buffer, cancellationToken)) > 0)
            {
                await Task.Delay(4, cancellationToken);
                await client.SendAsync(buffer.AsMemory(0, received), cancellationToken);
            }
        }
    }
}
