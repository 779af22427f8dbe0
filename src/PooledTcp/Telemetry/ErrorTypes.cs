using System.Collections.Frozen;
using System.Net.Sockets;

namespace PooledTcp.Telemetry;

/// <summary>
/// The values of <c>error.type</c>: the same for one failure on metrics and spans, and few, since each is a series. The
/// system's own errors go by their names, ours by what they mean, everything else by its type.
/// </summary>
internal static class ErrorTypes
{
    public const string AcquireTimeout = "acquire_timeout";
    public const string QueueFull = "queue_full";
    public const string PoolClosed = "pool_closed";
    public const string EndpointUnavailable = "endpoint_unavailable";
    public const string LocalPortsExhausted = "local_ports_exhausted";

    private static readonly FrozenDictionary<SocketError, string> SocketErrors =
        Enum.GetValues<SocketError>().Distinct().ToFrozenDictionary(static error => error, static error => SnakeCase.Of(error.ToString()));

    public static string Of(Exception exception)
    {
        switch (exception)
        {
            case RentTimeoutException:
                return AcquireTimeout;
            case PoolQueueFullException:
                return QueueFull;
            case PoolClosedException:
                return PoolClosed;
            case LocalPortsExhaustedException:
                return LocalPortsExhausted;
            case EndpointUnavailableException:
                return EndpointUnavailable;
        }

        // Of several addresses that all failed an IOException tells, and so does TLS over a connection that broke.
        Exception? cause = exception;
        while (cause is IOException { InnerException: { } inner })
        {
            cause = inner;
        }

        return cause is SocketException socket && SocketErrors.TryGetValue(socket.SocketErrorCode, out string? name)
            ? name
            : exception.GetType().FullName!;
    }
}
