namespace PooledTcp.KernelTests.RealServers;

public sealed class MemcachedServer : ServerProgram
{
    public override string Name => "memcached";

    public override string Goodbye => "memcached";

    protected override string[] Needs => ["memcached"];

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken) =>
        await stream.AskAsync("version\r\n", "VERSION ", cancellationToken);

    protected override Task<string[]> PrepareAsync(string folder, string address, int port, int? idleSeconds) =>
        Task.FromResult<string[]>(["memcached", "-l", address, "-p", $"{port}", "-m", "8", "-t", "1", "-o", $"idle_timeout={idleSeconds ?? 0}"]);
}
