using System.Buffers;
using CacheService.Resp;
using PooledTcp;

namespace CacheService.Cache;

/// <summary>
/// The cache as the rest of the service sees it: typed calls and typed errors. Which commands may be sent twice is known here,
/// and only here, so here the pool is told.
/// </summary>
/// <remarks>
/// Besides its own errors every call throws <see cref="PooledTcpException"/>s (no connection to be had, or it broke),
/// <see cref="EndOfStreamException"/> and <see cref="RespProtocolException"/> (the server did not answer as it should).
/// </remarks>
internal sealed class CacheGateway([FromKeyedServices(CacheGateway.Endpoint)] TcpPool pool)
{
    /// <summary>Name of the endpoint in <c>PooledTcp:Endpoints</c>.</summary>
    public const string Endpoint = "cache";

    // A read or a SET comes to the same however often the server carries it out; an INCR does not.
    private static readonly ExchangeOptions MayRunTwice = new() { Idempotent = true };
    private static readonly ExchangeOptions RunsOnce = new() { Idempotent = false };

    // What a command may be answered by, besides an error.
    private static readonly RespKind[] Value = [RespKind.Bulk, RespKind.Null];
    private static readonly RespKind[] Status = [RespKind.Simple];
    private static readonly RespKind[] Number = [RespKind.Integer];

    /// <summary>The value, to be disposed; null when there is none.</summary>
    public async ValueTask<CacheValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        RespReply reply = await ExecuteAsync(RespCommand.Create("GET"u8, key), Value, MayRunTwice, cancellationToken);
        if (reply.Kind == RespKind.Bulk)
        {
            return new CacheValue(reply);
        }

        reply.Dispose();
        return null;
    }

    public async ValueTask SetAsync(string key, ReadOnlySequence<byte> value, CancellationToken cancellationToken) =>
        (await ExecuteAsync(RespCommand.Create("SET"u8, key, value), Status, MayRunTwice, cancellationToken)).Dispose();

    /// <summary>The counter's new value.</summary>
    /// <exception cref="RespErrorException">The key holds something else (<see cref="RespErrorException.IsNotANumber"/>).</exception>
    public async ValueTask<long> IncrementAsync(string key, CancellationToken cancellationToken)
    {
        using RespReply reply = await ExecuteAsync(RespCommand.Create("INCR"u8, key), Number, RunsOnce, cancellationToken);
        return reply.Number;
    }

    public async ValueTask PingAsync(CancellationToken cancellationToken) =>
        (await ExecuteAsync(RespCommand.Create("PING"u8), Status, MayRunTwice, cancellationToken)).Dispose();

    private async ValueTask<RespReply> ExecuteAsync(
        RespCommand command, RespKind[] expected, ExchangeOptions options, CancellationToken cancellationToken)
    {
        RespReply reply;
        using (command)
        {
            reply = await pool.ExecuteAsync(
                static (lease, asked, token) => RespExchange.RunAsync(lease, asked.Bytes, asked.Expected, token),
                (command.Bytes, Expected: expected),
                options,
                cancellationToken);
        }

        if (reply.Kind != RespKind.Error)
        {
            return reply;
        }

        // Thrown here and not in the exchange: the reply was read to its end, and its connection is as good as any.
        using (reply)
        {
            throw new RespErrorException(reply.Text);
        }
    }
}
