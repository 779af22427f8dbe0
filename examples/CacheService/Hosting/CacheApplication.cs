using CacheService.Cache;
using CacheService.Http;
using CacheService.Telemetry;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;

namespace CacheService.Hosting;

/// <summary>The service: what it is made of, and what it answers.</summary>
internal static class CacheApplication
{
    /// <exception cref="SettingException">A setting is none.</exception>
    public static WebApplication Build(string[] args)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            Args = args,
            // Its settings are beside the program, wherever that is started from.
            ContentRootPath = AppContext.BaseDirectory,
        });

        // First, so that the server is there before the pool's first dial and still there for its last goodbye.
        builder.Services.AddBackend(builder.Configuration);
        builder.Services.AddPooledTcp(builder.Configuration.GetSection("PooledTcp"));
        builder.Services.AddHealthChecks().AddPooledTcp();
        builder.AddTelemetry();

        builder.Services.AddOptions<CacheOptions>().BindConfiguration("Cache").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton<CacheGateway>();
        builder.Services.AddProblemDetails();
        builder.Services.AddExceptionHandler<CacheExceptionHandler>();
        builder.Services.AddRequestTimeouts();
        builder.Services.AddOptions<RequestTimeoutOptions>().Configure<IOptions<CacheOptions>>(
            static (timeouts, cache) => timeouts.DefaultPolicy = new RequestTimeoutPolicy
            {
                Timeout = cache.Value.RequestTimeout,
                TimeoutStatusCode = StatusCodes.Status504GatewayTimeout,
                WriteTimeoutResponse = static async context => await context.RequestServices.GetRequiredService<IProblemDetailsService>()
                    .TryWriteAsync(new ProblemDetailsContext
                    {
                        HttpContext = context,
                        ProblemDetails = { Status = StatusCodes.Status504GatewayTimeout, Detail = CacheEndpoints.SlowCache },
                    }),
            });

        WebApplication app = builder.Build();
        app.UseExceptionHandler();
        app.UseRequestTimeouts();
        app.MapCache();

        // For operators, and here for everyone who reaches the port. Where that is not the loopback, add
        // .RequireAuthorization("operators") or .RequireHost("*:9090") to each, as to any endpoint.
        app.MapHealthChecks("/health");
        app.MapPrometheusScrapingEndpoint("/metrics");
        app.MapPooledTcpStats("/pooledtcp");
        return app;
    }
}
