using System.Net.Sockets;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Fakes;

/// <summary>An exchange on a connection that has served before, and fails it or not.</summary>
internal static class ReusedExchange
{
    public static readonly ExchangeOptions Idempotent = new() { Idempotent = true };

    /// <summary>What the exchange does on a connection, until the fake's fault stops it.</summary>
    public static async ValueTask<long> AskAsync(TcpLease lease, bool asks, CancellationToken cancellationToken)
    {
        if (asks)
        {
            await lease.SendAsync("?"u8.ToArray(), cancellationToken);
        }

        return await lease.ReceiveAsync(new byte[1], cancellationToken) == 1
            ? lease.ConnectionId
            : throw new EndOfStreamException("the server closed");
    }

    /// <summary>A pool with one idle connection that has served before; what is dialed from now on answers "!".</summary>
    public static async Task<(PoolHarness Pool, FakeTransport Used)> WarmAsync(PoolSettings? settings = null)
    {
        PoolHarness pool = new(settings);
        (TcpLease lease, FakeTransport used) = await pool.DialAsync();
        PoolHarness.Return(lease);
        return (pool, used);
    }

    public static FakeTransport Answering()
    {
        FakeTransport transport = new();
        transport.Feed("!");
        return transport;
    }

    public static SocketException Reset() => new((int)SocketError.ConnectionReset);

    public static void AssertNotRetried(PoolHarness pool)
    {
        Assert.Equal(0, pool.Now.Retries);
        Assert.False(pool.Connector.TryNext(out _));
        pool.AssertCounts(used: 0, connecting: 0, waiting: 0);
    }
}
