using CacheService.Resp;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Mvc;
using PooledTcp;

namespace CacheService.Http;

/// <summary>
/// What a client is told when the cache cannot serve it: whose trouble it is and whether to come again. The numbers in the
/// pool's messages are for operators, and go to the log.
/// </summary>
internal sealed partial class CacheExceptionHandler(IProblemDetailsService problems, ILogger<CacheExceptionHandler> logger) : IExceptionHandler
{
    private const int ClientClosedRequest = 499;

    public async ValueTask<bool> TryHandleAsync(HttpContext context, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is OperationCanceledException && context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to read an answer; this is for the request's metric.
            context.Response.StatusCode = ClientClosedRequest;
            return true;
        }

        if (Answer(exception) is not { } answer)
        {
            return false;
        }

        Refused(answer.Status, exception);
        context.Response.StatusCode = answer.Status;
        if (answer.RetryAfter is { } seconds)
        {
            context.Response.Headers.RetryAfter = seconds;
        }

        await problems.TryWriteAsync(new ProblemDetailsContext
        {
            HttpContext = context,
            ProblemDetails = new ProblemDetails { Status = answer.Status, Detail = answer.Detail },
        });
        return true;
    }

    /// <summary>503: come again; 502: the cache answered, and badly; 4xx: the client. Null: not of the cache.</summary>
    private static (int Status, string Detail, string? RetryAfter)? Answer(Exception exception) => exception switch
    {
        // With a cause nothing was open: the dials failed, nobody held the connections.
        RentTimeoutException { InnerException: not null } => (503, "The cache cannot be reached.", "5"),
        RentTimeoutException => (503, "Every connection to the cache is busy, and none became free in time.", "1"),
        PoolQueueFullException => (503, "Too many requests wait for the cache already.", "1"),
        LocalPortsExhaustedException => (503, "No connection to the cache can be opened just now.", "5"),
        EndpointUnavailableException => (503, "The cache cannot be reached.", "5"),
        PoolClosedException => (503, "This instance is stopping.", "1"),
        ConnectionFaultedException or EndOfStreamException => (502, "The connection to the cache broke.", null),
        RespProtocolException or RespErrorException => (502, "The cache did not answer as it should.", null),
        BadHttpRequestException { StatusCode: 413 } => (413, "The value is larger than this service takes.", null),
        BadHttpRequestException { StatusCode: 408 } => (408, CacheEndpoints.SlowUpload, null),
        BadHttpRequestException bad => (bad.StatusCode, "The request is not whole, or not HTTP as it should be.", null),
        _ => null,
    };

    // Debug: under overload there is one for each request. The pool's own events and metrics tell the operator, and once.
    [LoggerMessage(Level = LogLevel.Debug, EventName = "cache.refused", Message = "Answered {Status}.")]
    private partial void Refused(int status, Exception exception);
}
