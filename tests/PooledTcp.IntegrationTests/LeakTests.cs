using System.Runtime.CompilerServices;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>Leases that nobody returns, on real sockets: the server and the kernel see them go.</summary>
public sealed class LeakTests(GarnetEmbedded server) : IClassFixture<GarnetEmbedded>
{
    private const int Limit = 60_000;

    /// <summary>A sweep each half second: a lost lease is found after the next.</summary>
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(10);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task Who_waits_gets_the_place_of_a_lost_lease()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint =>
        {
            endpoint.MaxConnections = 1;
            endpoint.RentTimeout = Timeout.InfiniteTimeSpan;
            endpoint.IdleTimeout = IdleTimeout;
        });
        TcpPool pool = client.GetPool("server");
        for (int round = 1; round <= 5; round++)
        {
            await LoseAsync(pool);
            Task<TcpLease> waiting = pool.RentAsync(Token).AsTask();
            await CollectUntilAsync(() => waiting.IsCompleted, pool);

            using TcpLease lease = await waiting;
            Assert.Equal("PONG", (await lease.CommandAsync(Token, "PING")).Text);
            lease.Complete();
            lease.Dispose();
            Assert.Equal(round, pool.GetSnapshot().ClosedByReason["leaked"]);
        }

        await KernelSockets.MatchAsync(pool, server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task The_server_keeps_no_connection_of_a_lost_lease()
    {
        await using var own = new GarnetEmbedded();
        await own.StartAsync();
        await using PooledTcpClient client = own.NewClient(static endpoint =>
        {
            endpoint.MaxConnections = 20;
            endpoint.IdleTimeout = IdleTimeout;
        });
        TcpPool pool = client.GetPool("server");
        await LoseManyAsync(pool, 20);
        await CollectUntilAsync(() => pool.GetSnapshot() is { Used: 0, Closing: 0 }, pool);
        Assert.Equal(20, pool.GetSnapshot().ClosedByReason["leaked"]);
        await KernelSockets.MatchAsync(pool, own.Port);
        int left = 20;
        for (int i = 0; i < 1000 && left > 0; i++)
        {
            left = await ServerView.CountClientsAsync(own.Port, Token);
            await Task.Delay(5, Token);
        }

        Assert.Equal(0, left);
    }

    [Fact(Timeout = Limit)]
    public async Task Lost_leases_do_not_hold_up_the_end_of_the_client()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint => endpoint.MaxConnections = 5);
        TcpPool pool = client.GetPool("server");
        await LoseManyAsync(pool, 5);

        // Not collected yet, or only some of them: in either case there is nobody to wait for.
        await client.DisposeAsync();

        await CollectUntilAsync(() => pool.GetSnapshot() is { Used: 0, Closing: 0 }, pool);
        await KernelSockets.MatchAsync(pool, server.Port);
    }

    private static async Task CollectUntilAsync(Func<bool> found, TcpPool pool) => await Eventually.TrueAsync(
        () =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return found();
        },
        () => $"{pool.GetSnapshot()}");

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task LoseAsync(TcpPool pool)
    {
        // It has talked, through the stream as well, so everything that a lease makes is there to hold it.
        TcpLease lease = await pool.RentAsync(Token);
        Assert.Equal("PONG", (await lease.CommandAsync(Token, "PING")).Text);
        await lease.Stream.FlushAsync(Token);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task LoseManyAsync(TcpPool pool, int count)
    {
        TcpLease[] leases = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => pool.RentAsync(Token).AsTask()));
        foreach (TcpLease lease in leases)
        {
            Assert.Equal("PONG", (await lease.CommandAsync(Token, "PING")).Text);
        }

        // While all are held: from here on any collection may find them.
        Assert.Equal(count, pool.GetSnapshot().Used);
        GC.KeepAlive(leases);
    }
}
