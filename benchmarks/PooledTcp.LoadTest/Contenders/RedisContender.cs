using System.Net;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;
using StackExchange.Redis;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>StackExchange.Redis: no pool at all, but one connection that all requests share, in one write where they come together.</summary>
internal sealed class RedisContender(IPEndPoint server) : Contender("StackExchange.Redis, multiplexed")
{
    private ConnectionMultiplexer _redis = null!;

    public override async Task OpenAsync() => _redis = await ConnectionMultiplexer.ConnectAsync($"{server}");

    public override async Task WorkAsync(Worker worker)
    {
        IDatabase database = _redis.GetDatabase();
        RedisKey key = Wire.Key;
        while (worker.Goes)
        {
            RedisValue value = await database.StringGetAsync(key);
            if (value.IsNull)
            {
                throw new InvalidDataException("The key is gone.");
            }

            worker.Done();
        }
    }

    protected override ValueTask CloseAsync() => _redis.DisposeAsync();
}
