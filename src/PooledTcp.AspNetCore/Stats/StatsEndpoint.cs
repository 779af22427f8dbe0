using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace PooledTcp.AspNetCore.Stats;

/// <summary>Answers the two requests. What it says of the outside world is as secret as the service makes it: nothing is kept by anyone.</summary>
internal sealed class StatsEndpoint(StatsCollector collector, string? application)
{
    public Task PageAsync(HttpContext context)
    {
        if (!StatsQuery.TryRead(context.Request.Query, StatsQuery.MaxRows, out StatsQuery query, out string fault))
        {
            return RefuseAsync(context, fault);
        }

        StatsReport report = collector.Collect().ToReport(query, application);
        JsonElement figures = JsonSerializer.SerializeToElement(report, StatsJsonContext.Default.StatsReport);
        HttpResponse response = context.Response;
        response.Headers.ContentSecurityPolicy = StatsPage.ContentSecurityPolicy;
        return WriteAsync(context, "text/html; charset=utf-8", StatsPage.Render(figures, query, JsonLink(context.Request)));
    }

    public Task JsonAsync(HttpContext context)
    {
        if (!StatsQuery.TryRead(context.Request.Query, StatsQuery.MaxLimit, out StatsQuery query, out string fault))
        {
            return RefuseAsync(context, fault);
        }

        StatsReport report = collector.Collect().ToReport(query, application);
        return WriteAsync(context, "application/json; charset=utf-8", JsonSerializer.SerializeToUtf8Bytes(report, StatsJsonContext.Default.StatsReport));
    }

    /// <summary>
    /// Relative to the page's own address, as the browser sees it: a proxy may have taken a prefix off the path without telling.
    /// </summary>
    private static string JsonLink(HttpRequest request)
    {
        string path = request.PathBase.Add(request.Path).ToUriComponent();
        int slash = path.LastIndexOf('/');
        return slash == path.Length - 1 ? "./stats.json" : $"./{path[(slash + 1)..]}/stats.json";
    }

    private static Task RefuseAsync(HttpContext context, string fault)
    {
        context.Response.StatusCode = StatusCodes.Status400BadRequest;
        return WriteAsync(context, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(fault));
    }

    private static async Task WriteAsync(HttpContext context, string type, byte[] body)
    {
        HttpResponse response = context.Response;
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
        response.Headers[HeaderNames.ContentType] = type;
        response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await response.Body.WriteAsync(body, context.RequestAborted).ConfigureAwait(false);
        }
    }
}
