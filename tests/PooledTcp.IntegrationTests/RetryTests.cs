using System.Net.Sockets;
using PooledTcp.IntegrationTests.Servers;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>The race that no check at rent can win: the server closes while the request is on its way.</summary>
public sealed class RetryTests
{
    private const int Requests = 200;

    [Fact]
    public async Task Idempotent_exchanges_survive_a_server_that_closes_on_the_second_request()
    {
        await using var server = new FickleServer();
        await using PooledTcpClient client = NewClient(server);
        TcpPool pool = client.GetPool("fickle");
        for (int i = 0; i < Requests; i++)
        {
            Assert.Equal(i % 256, await AskAsync(pool, i, new ExchangeOptions { Idempotent = true }));
        }

        // Every connection answers once: all exchanges but the first meet one that is going to die.
        Assert.Equal(Requests - 1, pool.GetSnapshot().Retries);
        Assert.Equal(Requests, server.Accepted);
    }

    [Fact]
    public async Task Others_fail_and_say_why_and_nothing_is_asked_twice()
    {
        await using var server = new FickleServer();
        await using PooledTcpClient client = NewClient(server);
        TcpPool pool = client.GetPool("fickle");
        int failed = 0;
        for (int i = 0; i < Requests; i++)
        {
            try
            {
                Assert.Equal(i % 256, await AskAsync(pool, i, default));
            }
            catch (Exception e) when (e is EndOfStreamException or ConnectionFaultedException)
            {
                failed++;
            }
        }

        Assert.Equal((Requests / 2, 0L), (failed, pool.GetSnapshot().Retries));
        Assert.Equal(Requests, server.Asked);
    }

    private static PooledTcpClient NewClient(FickleServer server) => new(new PooledTcpOptions
    {
        Endpoints = { ["fickle"] = new TcpEndpointOptions { Address = server.Address, MaxConnections = 1 } },
    });

    private static async Task<int> AskAsync(TcpPool pool, int question, ExchangeOptions options) => await pool.ExecuteAsync(
        static async (lease, question, token) =>
        {
            var buffer = new byte[] { (byte)question };
            await lease.SendAsync(buffer, token);
            return await lease.ReceiveAsync(buffer, token) == 1 ? buffer[0] : throw new EndOfStreamException();
        },
        question,
        options,
        TestContext.Current.CancellationToken);

    /// <summary>Echoes one byte, reads another, and closes instead of answering.</summary>
    private sealed class FickleServer : LineServer
    {
        private int _asked;

        public int Asked => Volatile.Read(ref _asked);

        protected override async Task ServeAsync(Socket client, CancellationToken cancellationToken)
        {
            var buffer = new byte[1];
            await AskedAsync();
            await client.SendAsync(buffer, cancellationToken);
            await AskedAsync();

            async Task AskedAsync()
            {
                if (await client.ReceiveAsync(buffer, cancellationToken) == 1)
                {
                    Interlocked.Increment(ref _asked);
                }
            }
        }
    }
}
