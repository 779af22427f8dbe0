using CacheService.Cache;
using CacheService.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace PooledTcp.CacheServiceTests.Support;

/// <summary>The service in this process, on ports of its own, with its own appsettings and the settings of a test over them.</summary>
internal sealed class CacheServiceApp : IAsyncDisposable
{
    /// <summary>Deadlines for a machine that is busy with other things. A test that is about one sets its own over it.</summary>
    public static readonly string[] Patient =
    [
        "--PooledTcp:Defaults:RentTimeout", "00:02:00", "--PooledTcp:Defaults:ConnectTimeout", "00:01:00", "--Cache:RequestTimeout", "00:02:30",
    ];

    private readonly WebApplication _app;

    private CacheServiceApp(WebApplication app)
    {
        _app = app;
        Http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
    }

    public HttpClient Http { get; }

    public CacheGateway Gateway => _app.Services.GetRequiredService<CacheGateway>();

    public TcpPool Pool => _app.Services.GetRequiredKeyedService<TcpPool>(CacheGateway.Endpoint);

    /// <summary>With the embedded server.</summary>
    public static Task<CacheServiceApp> StartAsync(params string[] settings) =>
        StartAsync(["--PooledTcp:Endpoints:cache:Address", $"127.0.0.1:{FreePort.Next()}"], settings);

    /// <summary>With a server that the test runs, or does not.</summary>
    public static Task<CacheServiceApp> StartAsync(int externalPort, params string[] settings) =>
        StartAsync(["--Backend", "External", "--PooledTcp:Endpoints:cache:Address", $"127.0.0.1:{externalPort}"], settings);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.StopAsync(Patience.Token);
        await _app.DisposeAsync();
    }

    private static async Task<CacheServiceApp> StartAsync(string[] first, string[] settings)
    {
        WebApplication app = CacheApplication.Build(
            ["--urls", "http://127.0.0.1:0", "--Telemetry:Console:Spans", "None", "--Logging:LogLevel:Default", "Error", .. Patient, .. first, .. settings]);
        await app.StartAsync(Patience.Token);
        return new CacheServiceApp(app);
    }
}
