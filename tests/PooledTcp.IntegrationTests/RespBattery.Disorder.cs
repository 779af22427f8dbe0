using System.Collections.Concurrent;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>Cancellations at any point, and a server that dies and comes back.</summary>
public abstract partial class RespBattery
{
    [Fact(Timeout = Limit)]
    public async Task Requests_cancelled_anywhere_leave_every_accepted_reply_with_its_own_caller()
    {
        const int MaxConnections = 8;
        int seed = Random.Shared.Next();
        var census = new SocketCensus();
        await using PooledTcpClient client = Server.NewClient(endpoint =>
        {
            endpoint.MaxConnections = MaxConnections;
            endpoint.ConnectCallback = census.ConnectAsync;
        });
        TcpPool pool = client.GetPool("server");
        var callers = new RandomCancellations(pool, seed);

        await callers.RunAsync(4000, Token);

        Assert.True(callers.Wrong.IsEmpty, $"Seed {seed}: {string.Join("; ", callers.Wrong.Take(5))}");
        Assert.InRange(callers.Accepted, 1000, 4000);
        Assert.InRange(callers.Cancelled, 300, 4000);
        Assert.InRange(census.Peak, 1, MaxConnections);
        await KernelSockets.MatchAsync(pool, Server.Port);
    }

    [Fact(Timeout = Limit)]
    public async Task A_server_that_dies_under_load_gives_typed_errors_and_service_resumes_with_it()
    {
        await using PooledTcpClient client = Server.NewClient(static endpoint => endpoint.MaxConnections = 8);
        TcpPool pool = client.GetPool("server");
        int served = 0;
        int unavailable = 0;
        var unexpected = new ConcurrentQueue<Exception>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task callers = Task.WhenAll(Enumerable.Range(0, 16).Select(caller => Task.Run(() => CallAsync(caller))));
        try
        {
            await ServesOnAsync();
            await Server.StopAsync();
            try
            {
                await Eventually.TrueAsync(() => Volatile.Read(ref unavailable) >= 16, () => $"{unavailable} refused dials");
            }
            finally
            {
                await Server.StartAsync();
            }

            await ServesOnAsync();
        }
        finally
        {
            await stop.CancelAsync();
            await callers;
        }

        Assert.Empty(unexpected);
        Assert.Equal(TcpPoolState.Open, pool.GetSnapshot().State);
        await KernelSockets.MatchAsync(pool, Server.Port);

        Task ServesOnAsync()
        {
            int before = Volatile.Read(ref served);
            return Eventually.TrueAsync(() => Volatile.Read(ref served) > before + 200, () => $"{served - before} served: {pool.GetSnapshot()}");
        }

        async Task CallAsync(int caller)
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                try
                {
                    string id = $"caller {caller} request {i}";
                    Assert.Equal(id, (await pool.CommandAsync(Token, "ECHO", id)).Text);
                    Interlocked.Increment(ref served);
                }
                catch (EndpointUnavailableException e)
                {
                    Assert.NotNull(e.InnerException);
                    Interlocked.Increment(ref unavailable);
                    await Task.Delay(1, CancellationToken.None); // a caller's own back-off
                }
                catch (Exception e) when (e is ConnectionFaultedException or EndOfStreamException)
                {
                    // RST or FIN in the middle of an exchange.
                }
                catch (Exception e)
                {
                    unexpected.Enqueue(e);
                    return;
                }
            }
        }
    }
}
