using PooledTcp.KernelTests.Harness;
using PooledTcp.KernelTests.RealServers;
using Xunit;

namespace PooledTcp.KernelTests.Health;

/// <summary>Servers that other people wrote and that close idle connections: the built-in probes keep a connection, and without them the limit is learned.</summary>
public sealed class RealServerIdleTests
{
    private const int Port = 5001;

    // So that a machine that is busy for seconds is not taken for an idle client.
    private static readonly TimeSpan ServersLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <param name="Closed">While it idled for longer than the server allows.</param>
    /// <param name="IsTheSame">The connection that was lent after it.</param>
    public sealed record Kept(long Closed, bool IsTheSame);

    /// <param name="Limit">What the snapshot showed, in seconds.</param>
    /// <param name="Reasons">By which connections were closed, sorted.</param>
    /// <param name="ClosedByPeer">Of those, all.</param>
    /// <param name="Closed">All.</param>
    public sealed record Learned(double Limit, string Reasons, long ClosedByPeer, long Closed);

    [Fact]
    public async Task Redis_answers_the_probe_of_its_name() =>
        Assert.Equal(new Kept(0, IsTheSame: true), await PlayAsync<RedisServer, Kept>(ProbeRedisAsync));

    [Fact]
    public async Task Memcached_answers_the_probe_of_its_name() =>
        Assert.Equal(new Kept(0, IsTheSame: true), await PlayAsync<MemcachedServer, Kept>(ProbeMemcachedAsync));

    [Fact]
    public async Task The_limit_of_redis_is_learned_and_its_close_awaited()
    {
        Learned learned = await PlayAsync<RedisServer, Learned>(LearnAsync);
        Assert.InRange(learned.Limit, 2.5, 8);
        Assert.Equal("peer_closed,peer_idle_limit", learned.Reasons);
        Assert.Equal(learned.Closed, learned.ClosedByPeer);
    }

    private static async Task<TResult> PlayAsync<TServer, TResult>(Func<Task<TResult>> scenario)
        where TServer : RealServer, new()
    {
        string? obstacle = new TServer().FindObstacle();
        Assert.SkipWhen(obstacle is not null, $"No server: {obstacle}");
        return await NetworkNamespace.RunAsync(scenario, NamespaceSettings.FullRange);
    }

    private static Task<Kept> ProbeRedisAsync() => ProbeAsync(new RedisServer(), "redis");

    private static Task<Kept> ProbeMemcachedAsync() => ProbeAsync(new MemcachedServer(), "memcached");

    private static async Task<Kept> ProbeAsync(RealServer server, string probe)
    {
        await using IAsyncDisposable running = await server.StartAsync(NamespaceSettings.Server, Port, ServersLimit);
        await using PooledTcpClient client = NewClient(health =>
        {
            health.Probe = probe;
            health.ProbeInterval = TimeSpan.FromSeconds(1);
            health.ProbeTimeout = Patience;
        });
        TcpPool pool = client.GetPool("server");
        long id = await ExchangeAsync(pool, server);
        await Task.Delay(ServersLimit + TimeSpan.FromSeconds(3));
        long closed = pool.GetSnapshot().Closed;
        return new Kept(closed, await ExchangeAsync(pool, server) == id);
    }

    private static async Task<Learned> LearnAsync()
    {
        var server = new RedisServer();
        await using IAsyncDisposable running = await server.StartAsync(NamespaceSettings.Server, Port, TimeSpan.FromSeconds(4));
        await using PooledTcpClient client = NewClient(static _ => { });
        TcpPool pool = client.GetPool("server");

        // Three at about one age are enough; a machine that is busy for seconds needs more.
        for (int i = 1; pool.GetSnapshot().LearnedIdleLimit is null && i <= 10; i++)
        {
            await ExchangeAsync(pool, server);
            await KernelView.UntilAsync(() => pool.GetSnapshot().Closed == i, "redis has closed the idle connection", Patience);
        }

        double limit = pool.GetSnapshot().LearnedIdleLimit?.TotalSeconds ?? 0;
        for (int i = 1; !pool.GetSnapshot().ClosedByReason.ContainsKey("peer_idle_limit") && i <= 10; i++)
        {
            await ExchangeAsync(pool, server);
            await KernelView.UntilAsync(() => pool.GetSnapshot() is { Idle: 0, Closing: 0 }, "the next one was left to redis, which has closed it", Patience);
        }

        TcpPoolSnapshot now = pool.GetSnapshot();
        return new Learned(limit, string.Join(',', now.ClosedByReason.Keys.Order(StringComparer.Ordinal)), now.ClosedByPeer, now.Closed);
    }

    private static PooledTcpClient NewClient(Action<TcpHealthOptions> configure) => new(new PooledTcpOptions().AddEndpoint("server", endpoint =>
    {
        endpoint.Address = $"{NamespaceSettings.Server}:{Port}";
        endpoint.IdleTimeout = TimeSpan.FromMinutes(10);
        endpoint.RentTimeout = endpoint.ConnectTimeout = TimeSpan.FromMinutes(1);
        configure(endpoint.Health);
    }));

    private static async Task<long> ExchangeAsync(TcpPool pool, RealServer server)
    {
        await using TcpLease lease = await pool.RentAsync();
        await server.ExchangeAsync(lease.Stream, CancellationToken.None);
        lease.Complete();
        return lease.ConnectionId;
    }
}
