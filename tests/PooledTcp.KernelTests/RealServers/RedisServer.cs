namespace PooledTcp.KernelTests.RealServers;

public sealed class RedisServer : ServerProgram
{
    public override string Name => "redis-server";

    public override string Goodbye => "redis";

    protected override string[] Needs => ["redis-server"];

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken) =>
        await stream.AskAsync("PING\r\n", "+PONG", cancellationToken);

    protected override Task<string[]> PrepareAsync(string folder, string address, int port, int? idleSeconds) =>
        Task.FromResult<string[]>(
            ["redis-server", "--bind", address, "--port", $"{port}", "--save", "", "--appendonly", "no", "--protected-mode", "no", "--timeout", $"{idleSeconds ?? 0}"]);
}
