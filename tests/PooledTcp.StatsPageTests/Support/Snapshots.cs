namespace PooledTcp.StatsPageTests.Support;

/// <summary>Snapshots made up, from that of a pool that nobody used.</summary>
internal static class Snapshots
{
    private static readonly TcpPoolSnapshot Unused = Take();

    public static TcpPoolSnapshot Pool(string name = "cache") => Unused with { Name = name };

    /// <summary>One after which callers waited and connections were dialed so often, for so long in all.</summary>
    public static TcpPoolSnapshot After(this TcpPoolSnapshot pool, long rents, long waits = 0, double waited = 0, long created = 0, double dialed = 0) => pool with
    {
        Rents = pool.Rents + rents,
        RentsWaited = pool.RentsWaited + waits,
        WaitTime = new(pool.WaitTime.Count + waits, pool.WaitTime.Total + TimeSpan.FromSeconds(waited), TimeSpan.FromSeconds(waited)),
        Created = pool.Created + created,
        CreateTime = new(pool.CreateTime.Count + created, pool.CreateTime.Total + TimeSpan.FromSeconds(dialed), TimeSpan.FromSeconds(dialed)),
    };

    private static TcpPoolSnapshot Take()
    {
        using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("cache", static e => (e.Address, e.MaxConnections) = ("127.0.0.1:6379", 8)));
        return client.GetPool("cache").GetSnapshot();
    }
}
