using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace PooledTcp.StatsPageTests.Support;

/// <summary>A service with pools and, unless told otherwise, their page at <c>/pooledtcp</c>.</summary>
internal sealed class Site : IAsyncDisposable
{
    private readonly WebApplication _application;

    private Site(WebApplication application)
    {
        _application = application;
        string address = application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        Http = new HttpClient { BaseAddress = new Uri(address), Timeout = TimeSpan.FromMinutes(2) };
    }

    public HttpClient Http { get; }

    public Uri Page => new(Http.BaseAddress!, "/pooledtcp");

    public PooledTcpClient Client => _application.Services.GetRequiredService<PooledTcpClient>();

    public static async Task<Site> StartAsync(
        Action<PooledTcpOptions>? pools = null, Action<WebApplication>? map = null, Action<IServiceCollection>? services = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ApplicationName = "Shop" });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddPooledTcp(options =>
        {
            // Only what a test does changes the figures: nothing is closed behind its back, nothing expires, nobody gives up.
            options.Defaults.RentTimeout = TimeSpan.FromMinutes(10);
            options.Defaults.ConnectTimeout = TimeSpan.FromMinutes(2);
            options.Defaults.IdleTimeout = options.Defaults.RetentionPeriod = TimeSpan.FromHours(1);
            pools?.Invoke(options);
        });
        services?.Invoke(builder.Services);
        WebApplication application = builder.Build();
        (map ?? (static app => app.MapPooledTcpStats()))(application);
        await application.StartAsync(Patience.Token);
        return new Site(application);
    }

    public async Task<JsonElement> JsonAsync(string query = "")
    {
        using JsonDocument document = JsonDocument.Parse(await Http.GetStringAsync($"/pooledtcp/stats.json{query}", Patience.Token));
        return document.RootElement.Clone();
    }

    /// <summary>As <see cref="JsonAsync"/>, once the figures are those of now: they are read at most once a second.</summary>
    public async Task<JsonElement> JsonOfNowAsync()
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        while (true)
        {
            JsonElement report = await JsonAsync();
            if (report.GetProperty("time").GetDateTimeOffset() > now)
            {
                return report;
            }

            await Task.Delay(100, Patience.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _application.DisposeAsync();
    }
}
