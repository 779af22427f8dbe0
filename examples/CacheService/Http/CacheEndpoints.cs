using System.IO.Pipelines;
using CacheService.Cache;
using CacheService.Hosting;
using CacheService.Resp;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace CacheService.Http;

/// <summary>What the service answers.</summary>
internal static class CacheEndpoints
{
    public const string SlowCache = "The cache did not answer in time.";
    public const string SlowUpload = "The value did not arrive in time.";

    public static void MapCache(this WebApplication app)
    {
        int maxValueBytes = app.Services.GetRequiredService<IOptions<CacheOptions>>().Value.MaxValueBytes;

        app.MapGet("/", static () => "PUT, GET /cache/{key} · POST /counter/{key} · GET /ping, /health, /metrics, /pooledtcp\n");
        app.MapGet("/ping", static async (CacheGateway cache, CancellationToken aborted) =>
        {
            await cache.PingAsync(aborted);
            return TypedResults.Text("PONG\n");
        });

        RouteGroupBuilder keyed = app.MapGroup("").AddEndpointFilter(RefuseBadKeyAsync);
        keyed.MapGet("/cache/{key}", GetAsync);
        keyed.MapPut("/cache/{key}", PutAsync).WithMetadata(new RequestSizeLimitAttribute(maxValueBytes)).DisableRequestTimeout();
        keyed.MapPost("/counter/{key}", IncrementAsync);
    }

    private static async Task GetAsync(string key, CacheGateway cache, HttpResponse response, CancellationToken aborted)
    {
        // The lease has ended before the first byte goes to the client: a slow client must not hold a connection of the pool.
        using CacheValue? value = await cache.GetAsync(key, aborted);
        if (value is null)
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        // The cache has answered. How fast the client reads is between it and Kestrel, which has a limit of its own.
        response.HttpContext.Features.Get<IHttpRequestTimeoutFeature>()?.DisableTimeout();
        response.ContentType = "application/octet-stream";
        response.ContentLength = value.Bytes.Length;
        await response.Body.WriteAsync(value.Bytes, aborted);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> PutAsync(
        string key, PipeReader body, CacheGateway cache, IOptions<CacheOptions> options, HttpResponse response, CancellationToken aborted)
    {
        // Whole before a connection is rented: a slow client must not hold one while it uploads, nor have the cache blamed for it.
        ReadResult read = await ReadToEndAsync(body, options.Value.UploadTimeout, aborted);
        try
        {
            if (!read.IsCompleted)
            {
                aborted.ThrowIfCancellationRequested();

                // The rest of the body may still come, where the next request would be.
                response.Headers.Connection = "close";
                return TypedResults.Problem(SlowUpload, statusCode: StatusCodes.Status408RequestTimeout);
            }

            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(aborted);
            deadline.CancelAfter(options.Value.RequestTimeout);
            try
            {
                await cache.SetAsync(key, read.Buffer, deadline.Token);
            }
            catch (OperationCanceledException) when (!aborted.IsCancellationRequested)
            {
                return TypedResults.Problem(SlowCache, statusCode: StatusCodes.Status504GatewayTimeout);
            }
        }
        finally
        {
            // Also when the cache failed: Kestrel takes a body that is still being read for a broken request.
            body.AdvanceTo(read.Buffer.End);
        }

        return TypedResults.NoContent();
    }

    /// <summary>Not completed when the time is up or the client is gone. A read that is not to throw is cancelled by its reader.</summary>
    private static async Task<ReadResult> ReadToEndAsync(PipeReader body, TimeSpan timeout, CancellationToken aborted)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(aborted);
        using CancellationTokenRegistration cancel = deadline.Token.UnsafeRegister(static reader => ((PipeReader)reader!).CancelPendingRead(), body);
        deadline.CancelAfter(timeout);
        while (true)
        {
            ReadResult read = await body.ReadAsync(CancellationToken.None);
            if (read.IsCompleted || read.IsCanceled)
            {
                return read;
            }

            body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private static async Task<Results<Ok<Counter>, ProblemHttpResult>> IncrementAsync(string key, CacheGateway cache, CancellationToken aborted)
    {
        try
        {
            return TypedResults.Ok(new Counter(key, await cache.IncrementAsync(key, aborted)));
        }
        catch (RespErrorException exception) when (exception.IsNotANumber)
        {
            return TypedResults.Problem($"What is stored under '{key}' is not a counter.", statusCode: StatusCodes.Status409Conflict);
        }
    }

    private static async ValueTask<object?> RefuseBadKeyAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next) =>
        CacheKey.Fault(context.HttpContext.GetRouteValue("key") as string ?? "") is { } fault
            ? TypedResults.Problem(fault, statusCode: StatusCodes.Status400BadRequest)
            : await next(context);

    internal sealed record Counter(string Key, long Value);
}
