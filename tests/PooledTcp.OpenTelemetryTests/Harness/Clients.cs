namespace PooledTcp.OpenTelemetryTests.Harness;

internal static class Clients
{
    /// <summary>A client with one endpoint, <c>cache</c>, that has patience: on a busy machine a dial may take seconds.</summary>
    public static PooledTcpClient For(string address, Action<TcpEndpointOptions>? endpoint = null, Action<PooledTcpOptions>? configure = null)
    {
        PooledTcpOptions options = new();
        options.AddEndpoint("cache", cache =>
        {
            cache.Address = address;
            cache.RentTimeout = TimeSpan.FromMinutes(1);
            cache.ConnectTimeout = TimeSpan.FromSeconds(30);
            cache.Shutdown.DrainTimeout = TimeSpan.FromSeconds(30);
            endpoint?.Invoke(cache);
        });
        configure?.Invoke(options);
        return new PooledTcpClient(options);
    }

    public static async Task<TcpLease> RentAsync(this PooledTcpClient client) =>
        await client.RentAsync("cache", CancellationToken.None).AsTask().WaitAsync(Traced.Hang);

    public static void Return(this TcpLease lease)
    {
        lease.Complete();
        lease.Dispose();
    }
}
