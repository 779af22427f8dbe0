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

    /// <summary>The value, to be disposed; null when there is none.</summary>
    public async ValueTask<CacheValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        RespReply reply = await ExecuteAsync(RespCommand.Create("GET"u8, key), MayRunTwice, cancellationToken);
        switch (reply.Kind)
        {
            case RespKind.Bulk:
                return new CacheValue(reply);
            case RespKind.Null:
                reply.Dispose();
                return null;
            default:
                throw Unexpected("GET", reply);
        }
    }

    public async ValueTask SetAsync(string key, ReadOnlySequence<byte> value, CancellationToken cancellationToken)
    {
        using RespReply reply = await ExecuteAsync(RespCommand.Create("SET"u8, key, value), MayRunTwice, cancellationToken);
        if (reply.Kind != RespKind.Simple)
        {
            throw Unexpected("SET", reply);
        }
    }

    /// <summary>The counter's new value.</summary>
    /// <exception cref="RespErrorException">The key holds something else (<see cref="RespErrorException.IsNotANumber"/>).</exception>
    public async ValueTask<long> IncrementAsync(string key, CancellationToken cancellationToken)
    {
        using RespReply reply = await ExecuteAsync(RespCommand.Create("INCR"u8, key), RunsOnce, cancellationToken);
        return reply.Kind == RespKind.Integer ? reply.Number : throw Unexpected("INCR", reply);
    }

    public async ValueTask PingAsync(CancellationToken cancellationToken)
    {
        using RespReply reply = await ExecuteAsync(RespCommand.Create("PING"u8), MayRunTwice, cancellationToken);
        if (reply.Kind != RespKind.Simple)
        {
            throw Unexpected("PING", reply);
        }
    }

    private async ValueTask<RespReply> ExecuteAsync(RespCommand command, ExchangeOptions options, CancellationToken cancellationToken)
    {
        RespReply reply;
        using (command)
        {
            reply = await pool.ExecuteAsync(
                static (lease, bytes, token) => RespExchange.RunAsync(lease, bytes, token), command.Bytes, options, cancellationToken);
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

    private static RespProtocolException Unexpected(string verb, RespReply reply) =>
        new($"{verb} was answered by a reply of kind {reply.Kind}.");
}
