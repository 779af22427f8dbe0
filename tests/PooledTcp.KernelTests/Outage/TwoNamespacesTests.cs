using PooledTcp.KernelTests.Harness;
using Xunit;

namespace PooledTcp.KernelTests.Outage;

/// <summary>Client and server in namespaces of their own, with a cable between them: who closes first has the TIME_WAIT, in its own kernel half.</summary>
public sealed class TwoNamespacesTests
{
    private const int Connections = 10;
    private const int GracefulPort = 5001;
    private const int QuietPort = 5002;
    private const int GoodbyePort = 5003;

    /// <param name="Obstacle">Why it could not be played; null when it was.</param>
    /// <param name="Client">TIME_WAITs in the client's namespace: of the graceful, the quiet and the goodbye closes.</param>
    /// <param name="Server">Those in the server's.</param>
    public sealed record Sides(string? Obstacle, int[] Client, int[] Server);

    [Fact]
    public async Task Each_side_has_the_time_waits_of_the_closes_it_began()
    {
        Sides sides = await NetworkNamespace.RunAsync(CloseAcrossAsync, NamespaceSettings.FullRange.With("tcp_tw_reuse", "0"));

        Assert.SkipWhen(sides.Obstacle is not null, $"No second namespace: {sides.Obstacle}");
        Assert.Equal([Connections, 0, 0], sides.Client);
        Assert.Equal([0, 0, Connections], sides.Server);
    }

    private static async Task<Sides> CloseAcrossAsync()
    {
        if (await SecondNamespace.FindObstacleAsync() is { } obstacle)
        {
            return new Sides(obstacle, [], []);
        }

        using SecondNamespace server = await SecondNamespace.StartAsync(ServeAsync);
        await using var client = new PooledTcpClient(new PooledTcpOptions()
            .AddEndpoint("graceful", static endpoint => To(endpoint, GracefulPort).ClosesFirst = ClosesFirst.Client)
            .AddEndpoint("quiet", static endpoint =>
            {
                To(endpoint, QuietPort);
                endpoint.Ports.TimeWaitShare = 0;
            })
            .AddEndpoint("goodbye", static endpoint => To(endpoint, GoodbyePort).Goodbye = SmallServer.Goodbye));
        foreach (string name in new[] { "graceful", "quiet", "goodbye" })
        {
            await CloseManyAsync(client.GetPool(name));
        }

        int[] far = await server.AskAsync(CountAtServerAsync);
        return new Sides(null, await CountAsync(Sockets.ClientTimeWaits), far);
    }

    private static TcpShutdownOptions To(TcpEndpointOptions endpoint, int port)
    {
        endpoint.Address = $"{SecondNamespace.Far}:{port}";
        endpoint.MaxUses = 1;

        // The cable is new, and the machine may be slow.
        endpoint.RentTimeout = endpoint.ConnectTimeout = TimeSpan.FromMinutes(1);
        endpoint.Shutdown.GoodbyeTimeout = endpoint.Shutdown.DrainTimeout = TimeSpan.FromMinutes(1);
        return endpoint.Shutdown;
    }

    // All open before the first one closes: no port is used twice, and each one counts once.
    private static async Task CloseManyAsync(TcpPool pool)
    {
        var leases = new List<TcpLease>();
        for (int i = 0; i < Connections; i++)
        {
            TcpLease lease = await pool.RentAsync();
            leases.Add(lease);
            byte[] buffer = [SmallServer.Request];
            await lease.SendAsync(buffer);
            await lease.ReceiveAsync(buffer);
            lease.Complete();
        }

        foreach (TcpLease lease in leases)
        {
            await lease.DisposeAsync();
        }

        await KernelView.UntilAsync(() => pool.GetSnapshot() is { Closed: Connections, Closing: 0 }, "every close has ended");
    }

    private static async Task<bool> ServeAsync()
    {
        using SmallServer graceful = SmallServer.Start(GracefulPort, "0.0.0.0");
        using SmallServer quiet = SmallServer.Start(QuietPort, "0.0.0.0");
        using SmallServer goodbye = SmallServer.Start(GoodbyePort, "0.0.0.0");
        Console.WriteLine(SecondNamespace.Ready);
        await Task.Delay(Timeout.Infinite);
        return true;
    }

    private static Task<int[]> CountAtServerAsync() => CountAsync(Sockets.ServerTimeWaits);

    private static async Task<int[]> CountAsync(Func<int, int> timeWaits)
    {
        await KernelView.UntilAsync(static () => Sockets.Open() == 0, "every connection is closed");
        return [timeWaits(GracefulPort), timeWaits(QuietPort), timeWaits(GoodbyePort)];
    }
}
